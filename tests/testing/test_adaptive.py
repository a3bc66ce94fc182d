"""Claims about check_adaptive: it accepts a correct adaptive network, and reports every error."""

from __future__ import annotations

from math import inf

import pytest
import torch
from torch import Tensor, nn

from lowvision import Adaptive, Backbone, Task, multiply_adds
from lowvision.testing import check_backbone


class Reluctant(nn.Module, Adaptive):
    """Restores tiles brighter than its threshold, and leaves the others black."""

    threshold: Tensor

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv2d(task.channels, task.channels * task.scale**2, 3, padding=1), nn.PixelShuffle(task.scale)
        )
        self.register_buffer("threshold", torch.tensor(-1.0))

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq)

    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        chosen = tiles.mean(dim=(1, 2, 3)) > self.threshold
        cost = multiply_adds(self.network, (1, *tiles.shape[1:]))
        return self.network(tiles) * chosen[:, None, None, None], chosen.long() * cost

    def set_budget(self, share: float, lq: Tensor, gt: Tensor) -> None:
        self.threshold.fill_(lq.mean(dim=(1, 2, 3)).quantile(1 - share).item())


class BudgetInPython(Reluctant):
    """Stores its budget in a Python attribute, not in a buffer."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        del self.threshold
        self.threshold = torch.tensor(-1.0)


class InfiniteThreshold(Reluctant):
    """Sets its threshold to infinity."""

    def set_budget(self, share: float, lq: Tensor, gt: Tensor) -> None:
        self.threshold.fill_(inf)


class InitialBudget(Reluctant):
    """Has a budget before set_budget is called."""

    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        return super().adapt(tiles - 2)


class BatchDependent(Reluctant):
    """Decides for each tile by all tiles."""

    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        restored, spent = super().adapt(tiles)
        return (restored if len(tiles) > 1 else restored * 2), spent


class WrongCost(Reluctant):
    """Reports a higher cost than forward has."""

    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        restored, spent = super().adapt(tiles)
        return restored, 2 * spent


class OneCostForAll(Reluctant):
    """Reports one cost for all tiles."""

    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        restored, spent = super().adapt(tiles)
        return restored, spent.sum()


class ChangesWeights(Reluctant):
    """Changes its weights in set_budget."""

    def set_budget(self, share: float, lq: Tensor, gt: Tensor) -> None:
        super().set_budget(share, lq, gt)
        for parameter in self.parameters():
            parameter.data.mul_(share)


class Deciding(Backbone):
    """A backbone of one of the networks above."""

    kind: str = "Reluctant"
    """Name of the network class."""

    def build(self, task: Task) -> nn.Module:
        return globals()[self.kind](task)

    def reach(self, task: Task) -> int | None:
        return 1


def test_a_valid_adaptive_network_passes_as_a_backbone() -> None:
    check_backbone(Deciding(), exportable=False)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("BudgetInPython", r"a network with the same state_dict\(\) adapts differently; .* in buffers"),
        ("InfiniteThreshold", "set_budget sets threshold to a value that is not finite"),
        ("InitialBudget", "as trained, adapt returns another image than forward"),
        ("BatchDependent", "depends on the others in its batch"),
        ("WrongCost", "but forward costs"),
        ("OneCostForAll", "return one int64 per tile"),
        ("ChangesWeights", "set_budget changes forward"),
    ],
)
def test_an_invalid_adaptive_network_is_reported_with_a_remedy(kind: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_backbone(Deciding(kind=kind), exportable=False)
