"""ARM: one network whose leading channels are narrower networks, and a table that selects one of them per tile."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from lowvision import Backbone, ImageLoss, Skip, Task, hookimpl

if TYPE_CHECKING:
    from torch import nn


class ARM(Backbone):
    """FSRCNN in several widths with shared weights, and bicubic, selected by edge strength (Chen et al., ECCV 2022)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    widths: tuple[int, ...] = Field(default=(16, 36, 56), min_length=1)
    """Feature channels of the first and last convolution of each network, ascending; the last is the full network."""
    shrink: int = Field(default=12, ge=1)
    """Feature channels of the mapping convolutions, in all widths."""
    layers: int = Field(default=4, ge=1)
    """Number of mapping convolutions."""
    learn: Literal["all", "one"] = "all"
    """Widths that each update trains: all, or one that is sampled."""
    bins: int = Field(default=16, ge=1)
    """Number of ranges of mean |Laplacian| in the table; each holds equally many tiles."""
    skip: Skip = "none"
    """Interpolation of the input that is added to the output."""

    @model_validator(mode="after")
    def _widths_ascend(self) -> Self:
        if any(a >= b for a, b in pairwise((0, *self.widths))):
            raise ValueError(f"widths {list(self.widths)} must ascend and be at least 1")
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
        # 5x5 head, 3x3 mapping convolutions, 9x9 transposed convolution.
        return 2 + self.layers + 4 // task.scale

    def objective(self, network: nn.Module, image_loss: ImageLoss) -> nn.Module:
        from lowvision_arm import training
        from lowvision_arm.network import Network

        assert isinstance(network, Network)
        objective = training.AllWidths if self.learn == "all" else training.OneWidth
        return objective(network, image_loss)


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"arm": ARM}
