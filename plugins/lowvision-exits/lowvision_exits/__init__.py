"""Early exit: a network with several exits; a tile exits as soon as the expected gain is too small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from lowvision import Backbone, ImageLoss, Task, WrappedBackbone, hookimpl

if TYPE_CHECKING:
    from torch import nn


class Exits(WrappedBackbone):
    """A wrapped backbone with exits, selected per tile by the expected gain (Wang et al., ECCV 2022).

    The blocks of the wrapped backbone must run in sequence, e.g. those of `srresnet`, `carn`, `rcan` or `dncnn`.
    """

    trains_all: ClassVar[bool] = True

    every: int = Field(default=1, ge=1)
    """Number of blocks between exits; the last exit is the end of the network."""
    hidden: int = Field(default=16, ge=1)
    """Hidden width of the regressor, which predicts the remaining gain at every exit but the last."""

    @model_validator(mode="after")
    def _has_exits(self) -> Self:
        name, blocks = type(self.of).__name__, self.of.exits()
        if blocks == 0:
            raise ValueError(f"{name} supports no early exits; set `of` to a backbone that runs block after block")
        if type(self.of).objective is not Backbone.objective:
            raise ValueError(f"{name} has its own objective, which exits would replace; wrap exits in it instead")
        if self.every >= blocks:
            raise ValueError(
                f"every {self.every} gives {name}, of {blocks} blocks, no early exit; set a smaller number"
            )
        return self

    @property
    def places(self) -> tuple[int, ...]:
        """Number of blocks before each exit; the last is the end of the network."""
        blocks = self.of.exits()
        return (*range(self.every, blocks, self.every), blocks)

    def build(self, task: Task) -> nn.Module:
        from lowvision_exits.network import add_exits

        return add_exits(self.of.build(task), self.places, self.hidden, (1, task.channels, *2 * [self.multiple_of]))

    def exits(self) -> int:
        return 0  # its own exits cannot be wrapped again

    def objective(self, network: nn.Module, image_loss: ImageLoss) -> nn.Module:
        from lowvision_exits.network import Network
        from lowvision_exits.training import AnyExit

        assert isinstance(network, Network)
        return AnyExit(network, image_loss)


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"exits": Exits}
