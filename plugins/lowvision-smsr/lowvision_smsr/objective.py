"""The objective of SMSR: L1, and the fraction that masks keep, with the paper's schedules as fractions of a stage."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from lowvision import ImageLoss

LEVELS = 255
"""White in the authors' images; lambda is relative to an L1 in that range."""


@dataclass(frozen=True)
class Schedule:
    """Sparsity weight and temperature as functions of the stage's progress."""

    sparsity: float
    """Weight of the kept fraction, relative to L1 in 8-bit levels."""
    rise: float
    """Fraction of the stage in which the weight rises."""
    tau: float
    """Final temperature."""
    fall: float
    """Fraction of the stage in which the temperature falls."""

    def weight_at(self, progress: float) -> float:
        """Return the weight of the kept fraction, relative to L1 of images in [0,1]; it rises linearly from 0."""
        return self.sparsity / LEVELS * _done(progress, self.rise)

    def tau_at(self, progress: float) -> float:
        """Return the temperature, which falls linearly from 1."""
        return 1 - (1 - self.tau) * _done(progress, self.fall)


def _done(progress: float, part: float) -> float:
    """Return the progress within the first `part` of a stage, in [0,1]."""
    return 1.0 if progress >= part else progress / part


class Objective(nn.Module):
    """The image loss with soft masks, and the weighted fraction that they keep."""

    def __init__(self, network: nn.Module, schedule: Schedule, image_loss: ImageLoss):
        super().__init__()
        self.network = network
        self.schedule = schedule
        self.image_loss = image_loss

    def forward(self, lq: Tensor, gt: Tensor, progress: float) -> dict[str, Tensor]:
        image, kept = self.network.learn(lq, self.schedule.tau_at(progress))  # type: ignore[operator]  # of nn.Module
        return {"image": self.image_loss(image, gt), "masks": self.schedule.weight_at(progress) * kept}
