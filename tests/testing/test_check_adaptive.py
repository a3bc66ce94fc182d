"""Claims about check_adaptive: it accepts a correct adaptive network, and reports every error."""

from __future__ import annotations

from math import inf

import pytest
import torch
from torch import Tensor, nn

from lowvision import Adaptive, Backbone, Task, multiply_adds
from lowvision.testing import check_backbone


class Reluctant(nn.Module, Adaptive):
    """Restores the tiles that are brighter than its threshold, and leaves the others black."""

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
        price = multiply_adds(self.network, (1, *tiles.shape[1:]))
        return self.network(tiles) * chosen[:, None, None, None], chosen.long() * price

    def set_budget(self, share: float, lq: Tensor, gt: Tensor) -> None:
        self.threshold.fill_(lq.mean(dim=(1, 2, 3)).quantile(1 - share).item())


class Forgetful(Reluctant):
    """Is set in Python."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        del self.threshold
        self.threshold = torch.tensor(-1.0)


class Boundless(Reluctant):
    """Is set to infinity."""

    def set_budget(self, share: float, lq: Tensor, gt: Tensor) -> None:
        self.threshold.fill_(inf)


class Eager(Reluctant):
    """Is set before anyone asks."""

    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        return super().adapt(tiles - 2)


class Sociable(Reluctant):
    """Looks at all tiles for each."""

    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        restored, spent = super().adapt(tiles)
        return (restored if len(tiles) > 1 else restored * 2), spent


class Boastful(Reluctant):
    """Tells more than forward costs."""

    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        restored, spent = super().adapt(tiles)
        return restored, 2 * spent


class Vague(Reluctant):
    """Tells one number for all."""

    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        restored, spent = super().adapt(tiles)
        return restored, spent.sum()


class Restless(Reluctant):
    """Sets its weights."""

    def set_budget(self, share: float, lq: Tensor, gt: Tensor) -> None:
        super().set_budget(share, lq, gt)
        for parameter in self.parameters():
            parameter.data.mul_(share)


class Deciding(Backbone):
    """One of the above."""

    kind: str = "Reluctant"
    """Which."""

    def build(self, task: Task) -> nn.Module:
        return globals()[self.kind](task)

    def reach(self, task: Task) -> int | None:
        return 1


def test_a_valid_adaptive_network_passes_as_a_backbone() -> None:
    check_backbone(Deciding(), exportable=False)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("Forgetful", r"a network with the same state_dict\(\) adapts differently; .* in buffers"),
        ("Boundless", "set_budget sets threshold to a value that is not finite"),
        ("Eager", "as trained, adapt returns another image than forward"),
        ("Sociable", "depends on the others in its batch"),
        ("Boastful", "but forward costs"),
        ("Vague", "return one int64 per tile"),
        ("Restless", "set_budget changes forward"),
    ],
)
def test_an_invalid_adaptive_network_is_reported_with_a_remedy(kind: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_backbone(Deciding(kind=kind), exportable=False)
