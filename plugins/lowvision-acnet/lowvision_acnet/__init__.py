"""ACNet: parallel 1x3, 3x1 and 3x3 convolutions, which fuse into one after training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from lowvision import Backbone, Skip, Task, hookimpl

if TYPE_CHECKING:
    from torch import nn


class ACNet(Backbone):
    """Blocks of parallel 1x3, 3x1 and 3x3 convolutions (Tian et al., IEEE TSMC 2021)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    channels: int = Field(default=64, ge=1)
    """Feature channels."""
    layers: int = Field(default=17, ge=1)
    """Number of asymmetric blocks."""
    fused: bool = False
    """Replace the three convolutions of each block by one 3x3 convolution, their sum: for inference."""
    skip: Skip = "none"
    """Interpolation of the input that is added to the output."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_acnet.acnet import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            layers=self.layers,
            fused=self.fused,
            skip=self.skip,
        )

    def reach(self, task: Task) -> int:
        # One per block; the convolutions before the pixel shuffles; five at full size, each of which reaches 1/scale
        # LQ pixels. At x4 the convolution before the second shuffle is at twice the size.
        return self.layers + {1: 5, 2: 4, 3: 3, 4: 3}[task.scale]

    def fuse(self) -> ACNet:
        return self.replace(fused=True)


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"acnet": ACNet}
