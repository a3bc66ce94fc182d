"""The base class of backbones that change another one, e.g. by pruning it or giving it exits."""

from __future__ import annotations

from abc import ABC

from lowvision.models.architecture import BackboneChoice
from lowvision.plugins.contracts import Backbone, Task


class WrappedBackbone(Backbone, ABC):
    """A backbone that changes the network of another one, and has its scales, input sizes, reach and exits."""

    of: BackboneChoice
    """The wrapped backbone."""

    @property
    def scales(self) -> tuple[int, ...] | None:  # type: ignore[override]  # a class variable in the contract
        return self.of.scales

    @property
    def multiple_of(self) -> int:  # type: ignore[override]  # as above
        return self.of.multiple_of

    def reach(self, task: Task) -> int | None:
        return self.of.reach(task)

    def exits(self) -> int:
        return self.of.exits()
