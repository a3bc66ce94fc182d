"""One row to be measured, as a value, and what it becomes: a way to restore, ready to be run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from lowvision.bench import rows, shares
from lowvision.bench.rows import Row
from lowvision.errors import RunError, UsageError
from lowvision.inference.trained_networks import ModelBundle
from lowvision.plugins.contracts import Runtime
from lowvision.plugins.registry import Registry
from lowvision.routing.tiling import plan

DEVICE = "cpu"
"""The only one that is measured: on an accelerator neither cores nor memory of a process would tell anything."""

Facts = Mapping[str, Any]
"""What else is to be told of a row, by name."""


@dataclass(frozen=True)
class Tiles:
    """With which tiles the base is run."""

    size: int
    """Height and width, in LQ pixels."""
    batch: int
    """How many at a time."""


@dataclass(frozen=True)
class Job:
    """One row to be measured, of one image."""

    row: Row
    image: Tensor
    """(C,h,w)."""
    parts: ModelBundle
    """The networks."""
    registry: Registry
    shares: tuple[float, ...] | None = None
    """Of tiles, forced on the branches; None: the classifier decides."""
    tiles: Tiles | None = None
    """For the tiled base; None: as trained."""

    @property
    def runtime(self) -> Runtime:
        """What runs the networks. Raises RunError where it cannot be used here."""
        found = rows.runtime_of(self.row, self.registry)
        if reason := found.missing():
            raise RunError(reason)
        return found

    def routable(self) -> ModelBundle:
        """The networks. Raises UsageError where there is no classifier among them."""
        if self.parts.classifier is None:
            raise UsageError("a single network has no classifier: nothing can be routed")
        return self.parts

    def choice(self) -> Tensor | None:
        """(N,) the branch of each tile, where shares are forced."""
        if self.shares is None:
            return None
        made = self.parts.architecture
        _, height, width = self.image.shape
        where = plan(height, width, made.tile.size, made.tile.overlap)
        return shares.forced(self.image, where, self.shares)


@dataclass(frozen=True)
class Way:
    """A way to restore the image."""

    run: Callable[[], Any]
    """Does it once; this is what is timed."""
    cost: Callable[[], int]
    """Multiply-adds of one run; asked when it has run."""
    facts: Callable[[], Facts] = field(default=dict)
    """What else is to be told; asked after every run, beyond the clock."""
