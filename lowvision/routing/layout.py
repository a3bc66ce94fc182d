"""Lay an image out: rows of tiles that are restored together, the windows in them, and what these cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lowvision.routing import window_choice
from lowvision.routing.regions import Geometry, Region, Window, merged, window, window_size
from lowvision.routing.tiling import Tiling
from lowvision.routing.window_choice import WindowPrices

BAND_BYTES = 64 * 2**20
"""Memory limit of a band of the restored image; one row of regions is the minimum."""
MOST_ROWS = 8
"""Maximum rows of tiles in a band: enough to fill most batches of a branch."""


@dataclass(frozen=True)
class Stretch:
    """Rows of tiles that are restored together."""

    first: int
    last: int
    """One past the last row of tiles."""
    top: int
    bottom: int
    """The tiles write to the pixel rows `top` .. `bottom` - 1 of the image."""
    finished: int
    """First pixel row that the next stretch writes to as well."""


@dataclass(frozen=True)
class Layout:
    """The tiles of an image with `channels`, restored `scale` times as large."""

    tiling: Tiling
    geometry: Geometry
    """Merging of tiles, and their context."""
    channels: int
    scale: int
    costs: Callable[[tuple[int, ...]], tuple[int, ...]]
    """Multiply-adds of each branch on one input of shape (C,h,w)."""

    def stretches(self) -> Iterator[Stretch]:
        """Yield as many rows of tiles at a time as a band may hold."""
        tiling, merge, rows = self.tiling, self.geometry.merge, len(self.tiling.tops)
        row_bytes = 4 * self.channels * tiling.width * (tiling.size - tiling.overlap) * self.scale**2
        rows_per_band = max(1, min(MOST_ROWS, BAND_BYTES // row_bytes) // merge) * merge
        for first in range(0, rows, rows_per_band):
            last = min(first + rows_per_band, rows)
            top = tiling.seams_down[first - 1][0] if first else 0
            finished, bottom = tiling.seams_down[last - 1] if last < rows else (tiling.height, tiling.height)
            yield Stretch(first, last, top, bottom, finished)

    def windows(self, choice: Tensor, stretch: Stretch) -> list[Window]:
        """Return the windows of a stretch; choice (N,): the branch of each tile of the image."""
        return [window(region, self.tiling, self.geometry) for region in self._regions(choice, stretch)]

    def cost(self, choice: Tensor) -> int:
        """Return the multiply-adds of all branches, overlap and context included."""
        regions = (region for stretch in self.stretches() for region in self._regions(choice, stretch))
        counts = Counter((region.branch, region.rows, region.columns) for region in regions)
        return sum(count * self.window_costs(*shape)[branch] for (branch, *shape), count in counts.items())

    def window_costs(self, rows: int, columns: int) -> tuple[int, ...]:
        """Return the multiply-adds of each branch on a window of that many tiles."""
        return self.costs((self.channels, *window_size(rows, columns, self.tiling, self.geometry)))

    def prices(self, border: tuple[float, ...]) -> WindowPrices:
        """Return the costs of windows in units of the base on a tile, and what the base gains in them.

        border: error of the base near the border of its windows (`window_borders.relative`).
        """
        tile = self.costs((self.channels, self.tiling.size, self.tiling.size))[-1]
        costs, gains, margin = {}, {}, self.tiling.overlap // 2 + self.geometry.halo
        for shape in self.geometry.shapes(self._most):
            size = window_size(*shape, self.tiling, self.geometry)
            costs[shape] = np.array(self.window_costs(*shape)) / tile
            gains[shape] = window_choice.remaining_gain(border, *size, min(margin, (min(size) - 1) // 2))
        return WindowPrices(len(self.tiling.lefts), costs, gains)

    @property
    def _most(self) -> int:
        """Limit on the tiles of a window, so that a small image does not leave all but one core idle."""
        return self.tiling.count // 2

    def _regions(self, choice: Tensor, stretch: Stretch) -> list[Region]:
        columns = len(self.tiling.lefts)
        rows = choice[stretch.first * columns : stretch.last * columns].unflatten(0, (-1, columns)).numpy()
        return merged(rows, self.geometry, stretch.first, most=self._most)
