"""ACNet: parallel convolutions along, across and square, which can be fused into one once they are trained."""

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
    """Asymmetric blocks."""
    fused: bool = False
    """Whether each block is the one 3x3 convolution that its three add up to: for use, not for training."""
    skip: Skip = "none"
    """The interpolation of the input that is added to the output."""

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
        # The blocks, one each; convolutions before the pixel shuffles, and five at the full size, of which a pixel
        # there sees `scale` times fewer LQ pixels. At x4 the second shuffle's is at twice the size.
        return self.layers + {1: 5, 2: 4, 3: 3, 4: 3}[task.scale]

    def fuse(self) -> ACNet:
        return self.replace(fused=True)


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"acnet": ACNet}
