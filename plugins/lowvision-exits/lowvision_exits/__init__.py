"""Early exit: a network of exits, which a tile leaves as soon as going on would gain too little."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from lowvision import Backbone, BackboneChoice, Task, hookimpl

if TYPE_CHECKING:
    from torch import nn


class Exits(Backbone):
    """Another backbone with an exit every few blocks, left where going on gains little (Wang et al., ECCV 2022)."""

    of: BackboneChoice
    """The network that gets exits: one whose blocks run in turn, as `srresnet`, `carn`, `rcan`, `dncnn`."""
    every: int = Field(default=1, ge=1)
    """Blocks between exits; the last exit is the end of the network."""
    hidden: int = Field(default=16, ge=1)
    """Width inside the regressor that judges, at every exit but the last, what going on would gain."""

    @model_validator(mode="after")
    def _has_exits(self) -> Self:
        name, blocks = type(self.of).__name__, self.of.exits()
        if blocks == 0:
            raise ValueError(f"{name} cannot be left before its end; give `of` a network that runs block after block")
        if type(self.of).objective is not Backbone.objective:
            raise ValueError(f"{name} is trained in a way of its own, which exits would replace; put it around exits")
        if self.every >= blocks:
            raise ValueError(f"every {self.every} leaves {name}, of {blocks} blocks, no exit before its end; give less")
        return self

    @property
    def places(self) -> tuple[int, ...]:
        """After how many blocks each exit is, the end of the network last."""
        blocks = self.of.exits()
        return (*range(self.every, blocks, self.every), blocks)

    @property
    def scales(self) -> tuple[int, ...] | None:  # type: ignore[override]  # not of the class: the inner backbone's
        return self.of.scales

    @property
    def multiple_of(self) -> int:  # type: ignore[override]  # as above
        return self.of.multiple_of

    def build(self, task: Task) -> nn.Module:
        from lowvision_exits.network import built

        return built(self.of.build(task), self.places, self.hidden, (1, task.channels, *2 * [self.multiple_of]))

    def reach(self, task: Task) -> int | None:
        return self.of.reach(task)

    def objective(self, network: nn.Module) -> nn.Module:
        from lowvision_exits.network import Network
        from lowvision_exits.training import AnyExit

        assert isinstance(network, Network)
        return AnyExit(network)


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"exits": Exits}
