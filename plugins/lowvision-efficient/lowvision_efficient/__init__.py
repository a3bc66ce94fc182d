"""Efficient networks for super-resolution and for tasks that keep the size: DISP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from lowvision import Backbone, Skip, Task, hookimpl

if TYPE_CHECKING:
    from torch import nn


class DISP(Backbone):
    """Residual blocks of four 3x3 convolutions with SiLU; the default is the network of NTIRE 2026 ESR, team 18."""

    channels: int = Field(default=32, ge=1)
    """Feature channels."""
    layers: int = Field(default=4, ge=1)
    """Residual blocks of four convolutions."""
    skip: Skip = "none"
    """The interpolation of the input that is added to the output."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_efficient.disp import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            layers=self.layers,
            skip=self.skip,
        )

    def reach(self, task: Task) -> int:
        # The head, four a block, and the convolution before the shuffle.
        return 1 + 4 * self.layers + 1


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"disp": DISP}
