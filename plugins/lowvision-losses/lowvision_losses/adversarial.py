"""The adversarial loss: a discriminator that is trained alongside the network to recognise its images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from lowvision import Loss, Task

if TYPE_CHECKING:
    from torch import nn


class Adversarial(Loss):
    """An adversarial loss by a U-Net discriminator with spectral normalisation (Real-ESRGAN), trained alongside."""

    weight: float = Field(default=0.1, gt=0)
    """Factor of this loss in the sum of the losses of a stage; requires an additional image loss, e.g. l1."""
    kind: Literal["vanilla", "hinge", "lsgan"] = "vanilla"
    """Form of the loss: cross entropy, hinge, or least squares."""
    channels: int = Field(default=64, ge=4)
    """Channels of the discriminator's first layer."""
    lr: float | None = Field(default=None, gt=0)
    """Learning rate of the discriminator; null: that of the stage."""
    optimizer: str | None = None
    """Optimizer of the discriminator, a name in timm; null: that of the stage."""
    schedule: Literal["cosine", "constant", "multistep", "restarts", "one_cycle"] | None = None
    """Schedule of the discriminator; null: that of the stage."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_losses import discriminator

        return discriminator.Discriminating(discriminator.UNet(task.channels, self.channels), self.kind)

    def fit_options(self) -> dict[str, Any]:
        options = {"lr": self.lr, "optimizer": self.optimizer, "schedule": self.schedule}
        return {name: value for name, value in options.items() if value is not None}
