"""ARM: one network whose leading channels are narrower networks, and a table that tells which of them a tile needs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from lowvision import Backbone, Skip, Task, hookimpl

if TYPE_CHECKING:
    from torch import nn


class ARM(Backbone):
    """FSRCNN in several widths that share their weights, and bicubic, by a table of edges (Chen et al., ECCV 2022)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    widths: tuple[int, ...] = Field(default=(16, 36, 56), min_length=1)
    """Feature channels of the first and the last convolution in each of the networks, rising; the last is the whole."""
    shrink: int = Field(default=12, ge=1)
    """Feature channels between them, in all of the networks."""
    layers: int = Field(default=4, ge=1)
    """Mapping convolutions."""
    learn: Literal["all", "one"] = "all"
    """Which widths an update of the weights teaches: all of them, or one that is drawn."""
    bins: int = Field(default=16, ge=1)
    """Into how many ranges of mean |Laplacian| the table sorts tiles, equally many in each."""
    skip: Skip = "none"
    """The interpolation of the input that is added to the output."""

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if any(a >= b for a, b in pairwise((0, *self.widths))):
            raise ValueError(f"widths {list(self.widths)} must rise, and be at least 1")
        return self

    def build(self, task: Task) -> nn.Module:
        from lowvision_arm.network import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            widths=self.widths,
            shrink=self.shrink,
            layers=self.layers,
            bins=self.bins,
            skip=self.skip,
        )

    def reach(self, task: Task) -> int:
        # The 5x5 head, the 3x3 mapping, the 9x9 transposed convolution.
        return 2 + self.layers + 4 // task.scale

    def objective(self, network: nn.Module) -> nn.Module:
        from lowvision_arm import training
        from lowvision_arm.network import Network

        assert isinstance(network, Network)
        return training.AllWidths(network) if self.learn == "all" else training.OneWidth(network)


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"arm": ARM}
