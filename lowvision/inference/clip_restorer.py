"""Restore the frames of a clip one after another; parts that did not change are copied from the frame before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from lowvision.inference.restorer import Restored, Restorer
from lowvision.models.calibration import Speed
from lowvision.routing.changes import Still
from lowvision.routing.still import Recollection, StillEngine, recollection

VISUAL_MERGE = 2
"""Maximum rows and columns of tiles per window with `visually`."""


@dataclass(frozen=True, eq=False)
class RestoredFrame:
    """A restored frame and what it reused."""

    pixels: NDArray[Any]
    """(s*H,s*W,C); the array belongs to the clip restorer: copy it before changing it."""
    tiles: int
    reused_tiles: int
    """Tiles whose result was copied from the frame before."""
    cost: int
    """Multiply-adds spent."""
    base_cost: int
    """Multiply-adds of the base on the whole frame."""
    begins_scene: bool
    """The frame follows a scene cut; False for the first one."""


class ClipRestorer:
    """Restores frames of one size in their order."""

    def __init__(
        self,
        restorer: Restorer,
        *,
        still: Still = "exact",
        budget: float | None = None,
        max_loss: float | None = None,
        speed: Speed | None = None,
        worst: float | None = None,
    ):
        """Start a clip. still: which parts are copied; budget, max_loss, speed, worst: as in `Restorer.restore`."""
        self._limits: dict[str, Any] = {"budget": budget, "max_loss": max_loss, "speed": speed, "worst": worst}
        self._counts_own_cost = bool(restorer.settings) and any(limit is not None for limit in self._limits.values())
        self._recalled = None if still == "off" else recollection(still)
        self._restorer = restorer if self._recalled is None else _recalling(restorer, self._recalled, still)
        self._last: Restored[NDArray[Any]] | None = None

    def restore(self, pixels: NDArray[Any]) -> RestoredFrame:
        """Restore the next frame (H,W,C), uint8 or uint16."""
        recalled = self._recalled
        if recalled is None:
            restored = self._restorer.restore(pixels, **self._limits)
            return RestoredFrame(restored.image, sum(restored.tiles), 0, restored.cost, restored.base_cost, False)
        recalled.changes.see(pixels)
        if recalled.changes.is_still and self._last is not None:
            return self._repeated(self._last)
        recalled.begin()
        self._last = restored = self._restorer.restore(pixels, **self._limits)
        return RestoredFrame(
            pixels=restored.image,
            tiles=sum(restored.tiles),
            reused_tiles=recalled.reused_tiles,
            cost=restored.cost - (0 if self._counts_own_cost else recalled.reused_cost),
            base_cost=restored.base_cost,
            begins_scene=recalled.changes.is_cut,
        )

    def _repeated(self, last: Restored[NDArray[Any]]) -> RestoredFrame:
        tiles = sum(last.tiles)
        return RestoredFrame(last.image, tiles, tiles, 0, last.base_cost, False)


def _recalling(restorer: Restorer, recalled: Recollection, still: Still) -> Restorer:
    """Return the restorer with an engine that reuses results.

    `visually` merges fewer tiles: motion makes a smaller part of the frame run again, for which overlap costs more.
    """
    engine = restorer._engine
    if still == "visually":
        geometry = replace(engine.geometry, merge=min(engine.geometry.merge, VISUAL_MERGE))
        engine = replace(engine, geometry=geometry)
    fields = {name: getattr(engine, name) for name in engine.__dataclass_fields__}
    return replace(restorer, _engine=StillEngine(**fields, recalled=recalled))
