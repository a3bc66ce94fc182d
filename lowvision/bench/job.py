"""A row to measure, and the prepared restore method that is timed."""

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

Facts = Mapping[str, Any]
"""Further figures of a row by name."""


@dataclass(frozen=True)
class Tiles:
    """Tiles on which the base is run."""

    size: int
    """Height and width, in LQ pixels."""
    batch: int
    """Number of tiles per batch."""


@dataclass(frozen=True)
class Job:
    """A row to measure on one image."""

    row: Row
    image: Tensor
    """(C,h,w)."""
    parts: ModelBundle
    """The networks."""
    registry: Registry
    shares: tuple[float, ...] | None = None
    """Fixed share of tiles per branch; None: the classifier routes."""
    tiles: Tiles | None = None
    """Tiles of the tiled base; None: as trained."""
    device: str = "cpu"
    """Device of the networks, with its number: `cuda:0`. The image begins and ends elsewhere, as in `restore`."""

    @property
    def runtime(self) -> Runtime:
        """The runtime of the row. Raises RunError if it cannot be used on this machine."""
        runtime = rows.runtime_of(self.row, self.registry)
        if reason := runtime.missing():
            raise RunError(reason)
        return runtime

    def routable(self) -> ModelBundle:
        """Return the networks. Raises UsageError if there is no classifier."""
        if self.parts.classifier is None:
            raise UsageError("a single network has no classifier and cannot be routed; leave routed rows out")
        return self.parts

    def choice(self) -> Tensor | None:
        """Return the branch of each tile (N,) if shares are fixed."""
        if self.shares is None:
            return None
        tile = self.parts.architecture.tile
        _, height, width = self.image.shape
        placement = plan(height, width, tile.size, tile.overlap)
        return shares.forced(self.image, placement, self.shares)


@dataclass(frozen=True)
class Method:
    """A prepared restore method."""

    run: Callable[[], Any]
    """Restore the image once; this call is timed."""
    cost: Callable[[], int]
    """Return the multiply-adds of the last run."""
    facts: Callable[[], Facts] = field(default=dict)
    """Return further figures of the last run; not timed."""
