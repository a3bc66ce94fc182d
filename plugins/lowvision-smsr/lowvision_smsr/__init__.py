"""SMSR: a network that learns which positions and channels to skip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from lowvision import Backbone, ImageLoss, Skip, Task, hookimpl

if TYPE_CHECKING:
    from torch import nn


class SMSR(Backbone):
    """Sparse masks over positions and channels, trained with the network (Wang et al., CVPR 2021)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)
    trains_all: ClassVar[bool] = True

    channels: int = Field(default=64, ge=1)
    """Feature channels."""
    layers: int = Field(default=5, ge=1)
    """Number of sparse mask modules, of four masked convolutions each."""
    skip: Skip = "bicubic"
    """Interpolation of the input that is added to the output; bicubic in the paper."""
    sparsity: float = Field(default=0.1, ge=0)
    """Weight of the fraction that is not masked, relative to L1 in 8-bit levels (the paper's lambda)."""
    sparsity_rise: float = Field(default=0.05, ge=0, le=1)
    """Fraction of a stage in which that weight rises from 0: 50 of the paper's 1000 epochs."""
    tau: float = Field(default=0.4, gt=0, le=1)
    """Final temperature of masks; the initial one is 1."""
    tau_fall: float = Field(default=0.3, ge=0, le=1)
    """Fraction of a stage in which the temperature falls to `tau`: 300 of the paper's 1000 epochs."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_smsr.smsr import Network

        return Network(
            colours=task.channels, scale=task.scale, channels=self.channels, layers=self.layers, skip=self.skip
        )

    def reach(self, task: Task) -> None:
        # Channel attention averages over the whole input.
        return None

    def objective(self, network: nn.Module, image_loss: ImageLoss) -> nn.Module:
        from lowvision_smsr.objective import Objective, Schedule

        masks = Schedule(self.sparsity, self.sparsity_rise, self.tau, self.tau_fall)
        return Objective(network, masks, image_loss)


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"smsr": SMSR}
