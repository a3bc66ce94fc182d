"""ESRT: a light convolutional trunk, and a transformer whose attention is split into segments of the image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from lowvision import Backbone, Skip, Task, hookimpl

if TYPE_CHECKING:
    from torch import nn


class ESRT(Backbone):
    """A light convolutional trunk and a transformer with split attention (Lu et al., CVPRW 2022)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    channels: int = Field(default=32, ge=2)
    """Feature channels; the tokens of the transformer have nine times as many."""
    layers: int = Field(default=3, ge=1)
    """Number of high-preserving blocks."""
    segments: int = Field(default=4, ge=1)
    """Number of horizontal segments inside which pixels attend to each other; 1 for plain attention."""
    skip: Skip = "none"
    """Interpolation of the input that is added to the output."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_esrt.esrt import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            layers=self.layers,
            segments=self.segments,
            skip=self.skip,
        )

    def reach(self, task: Task) -> None:
        # Attention reads the whole segment, and channel attention averages over the whole input.
        return None


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"esrt": ESRT}
