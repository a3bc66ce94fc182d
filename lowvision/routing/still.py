"""A tile engine for the frames of a clip: it runs again only what changed since the frame before.

The unit is the window that a branch restores (`lowvision/routing/regions.py`). Its result depends on the pixels of the
window alone, regardless of the receptive field of the branch, so the result of the previous frame is reused if the
same branch restores the same window, and no pixel in it changed. The choice of branches is made for the whole frame, as
without reuse: a budget moves tiles that did not change themselves, and their windows run again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowvision.routing.changes import Changes, Still
from lowvision.routing.engine import Batch, Engine
from lowvision.routing.memory import Limit
from lowvision.routing.regions import Window


@dataclass
class Recollection:
    """Results of the previous frame, and those that the current frame has used."""

    changes: Changes
    windows: dict[Window, Tensor] = field(default_factory=dict)
    """Restored windows of the previous frame."""
    current: dict[Window, Tensor] = field(default_factory=dict)
    """Restored windows of the current frame."""
    scores: NDArray[np.float64] | None = None
    """(N,M) the output of the classifier for the previous frame."""
    reused: list[tuple[int, int]] = field(default_factory=list)
    """Tiles and multiply-adds of each part of the current frame that did not run."""

    @property
    def reused_tiles(self) -> int:
        """Tiles of the current frame in windows that did not run."""
        return sum(tiles for tiles, _ in self.reused)

    @property
    def reused_cost(self) -> int:
        """Multiply-adds that the current frame did not spend."""
        return sum(cost for _, cost in self.reused)

    def begin(self) -> None:
        """Start a frame."""
        self.windows, self.current, self.reused = self.current, {}, []


def recollection(still: Still) -> Recollection:
    """Return the memory of a clip that has not begun."""
    return Recollection(Changes(still))


@dataclass(frozen=True)
class StillEngine(Engine):
    """An engine that reuses the results of the previous frame. Call `recalled.begin()` before each frame."""

    recalled: Recollection = field(default_factory=lambda: recollection("exact"))

    def scores(self, image: Tensor) -> NDArray[np.float64]:
        """Return the output of the classifier (N,M); it runs on changed tiles only."""
        before, tiling, image = self.recalled.scores, self.layout(image).tiling, self.on_device(image)
        if before is None or len(before) != tiling.count:
            scores = super().scores(image)
        else:
            numbers = self.recalled.changes.tiles(tiling.corners, self.size).nonzero()[0]
            scores = before.copy()
            if len(numbers):
                scores[numbers] = self._classified(image, [tiling.corners[number] for number in numbers])
            self.recalled.reused.append((0, (tiling.count - len(numbers)) * self._classifier_cost(image)))
        self.recalled.scores = scores
        return scores

    @torch.inference_mode()
    def _run(self, image: Tensor, batch: Batch, limit: Limit) -> Tensor:
        """Run the windows of a batch that changed; the others are recalled."""
        known = [self._recalled(each) for each in batch.windows]
        changed = tuple(w for w, result in zip(batch.windows, known, strict=True) if result is None)
        if changed:
            # Copies: a part of a tensor would keep the whole of it in memory.
            fresh = iter([result.clone() for result in super()._run(image, Batch(changed, batch.stretch), limit)])
            known = [next(fresh) if result is None else result for result in known]
        results = [result for result in known if result is not None]
        self.recalled.current.update(zip(batch.windows, results, strict=True))
        self.recalled.reused += [self._tiles_and_cost(image, each) for each in batch.windows if each not in changed]
        return torch.stack(results)

    def _recalled(self, window: Window) -> Tensor | None:
        result = self.recalled.windows.get(window)
        if result is None:
            return None
        place = window.top, window.left, window.height, window.width
        return None if self.recalled.changes.within(*place) else result

    def _tiles_and_cost(self, image: Tensor, window: Window) -> tuple[int, int]:
        """Return the tiles and the multiply-adds of a window."""
        costs = self.networks.costs((image.shape[0], window.height, window.width))
        return window.tiles, costs[window.branch]
