"""What trains SMSR: L1, and the share that masks keep, under the paper's schedules told as parts of a stage."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

LEVELS = 255
"""The authors' images lie in 0..255, and so does the L1 that lambda is weighed against."""


@dataclass(frozen=True)
class Schedule:
    """How hard masks are pressed, and how hard they are, as a stage goes on."""

    sparsity: float
    """The weight of the share that is kept, against L1 in levels of 8 bit."""
    rise: float
    """Part of the stage in which it rises."""
    tau: float
    """The temperature in the end."""
    fall: float
    """Part of the stage in which it falls."""

    def weight_at(self, progress: float) -> float:
        """Of the share that is kept, against L1 of images in [0,1]; rises linearly from 0."""
        return self.sparsity / LEVELS * _done(progress, self.rise)

    def tau_at(self, progress: float) -> float:
        """The temperature; falls linearly from 1."""
        return 1 - (1 - self.tau) * _done(progress, self.fall)


def _done(progress: float, part: float) -> float:
    """How much of the first `part` of a stage is over, in [0,1]."""
    return 1.0 if progress >= part else progress / part


class Objective(nn.Module):
    """L1 of the image that soft masks give, and the weighted share that they keep."""

    def __init__(self, network: nn.Module, schedule: Schedule):
        super().__init__()
        self.network = network
        self.schedule = schedule

    def forward(self, lq: Tensor, gt: Tensor, progress: float) -> dict[str, Tensor]:
        image, kept = self.network.learn(lq, self.schedule.tau_at(progress))  # type: ignore[operator]  # nn.Module's attributes
        return {"image": functional.l1_loss(image, gt), "masks": self.schedule.weight_at(progress) * kept}
