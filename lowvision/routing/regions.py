"""Merges neighbouring tiles that go to one branch into regions, and says which window of the image each needs.

A region costs less than its tiles, which overlap, and inside it no pixel lacks its neighbours. It is the whole image's
result wherever the window reaches as far around a pixel as the network sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lowvision.routing.tiling import Plan, Span, up


@dataclass(frozen=True)
class Geometry:
    """How tiles of one branch become windows of the image."""

    merge: int = 1
    """Up to so many rows and columns of tiles are merged; 1: none are."""
    halo: int = 0
    """Pixels of context around a region, beyond the overlap of tiles."""
    multiple_of: int = 1
    """Height and width of a window are multiples of this."""

    @property
    def alone(self) -> Geometry:
        """Every tile on its own, as it was trained, in windows of sizes that suit as well: what the paper does."""
        return Geometry(multiple_of=self.multiple_of)

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of tiles that a region may have, the largest first; few, as runtimes compile for each."""
        sides = [1 << power for power in range(self.merge.bit_length())]
        return tuple(sorted(((r, c) for r in sides for c in sides), key=lambda shape: -shape[0] * shape[1]))


@dataclass(frozen=True)
class Region:
    """A rectangle of tiles that one branch restores in one piece."""

    row: int
    column: int
    rows: int
    columns: int
    branch: int


@dataclass(frozen=True)
class Window:
    """A piece of the image, and the part of it that is kept."""

    top: int
    left: int
    height: int
    width: int
    rows: Span
    """Kept, in pixels of the image; at its ends it fades over the seams."""
    columns: Span
    fades: tuple[int, int, int, int]
    """Pixels over which it fades: above, below, left, right."""
    branch: int
    tiles: int
    """How many it stands for."""


def merged(choice: NDArray[Any] | Sequence[Sequence[int]], geometry: Geometry, first_row: int = 0) -> list[Region]:
    """Cover rows of tiles, each with its branch, with as few and as large regions as a greedy search finds.

    first_row: which row of the image's tiles the first given one is.
    """
    branches = np.asarray(choice)
    free = np.ones_like(branches, dtype=bool)
    regions = []
    for shape in geometry.shapes:
        height, width = shape
        for row, column in _of_one_branch(branches, free, shape):
            rectangle = free[row : row + height, column : column + width]
            if rectangle.all():  # none of those just found took a part of it
                rectangle[:] = False
                regions.append(Region(first_row + row, column, height, width, int(branches[row, column])))
    return regions


def window(region: Region, where: Plan, geometry: Geometry) -> Window:
    """What a region needs of the image; windows of one shape of region have one size, whatever their place."""
    top, height = _reach(region.row, region.rows, where.tops, where.height, where, geometry)
    left, width = _reach(region.column, region.columns, where.lefts, where.width, where, geometry)
    rows, above, below = _kept(region.row, region.rows, where.seams_down, where.height)
    columns, before, after = _kept(region.column, region.columns, where.seams_right, where.width)
    fades = above, below, before, after
    return Window(top, left, height, width, rows, columns, fades, region.branch, region.rows * region.columns)


def _of_one_branch(branches: NDArray[Any], free: NDArray[np.bool_], shape: tuple[int, int]) -> list[list[int]]:
    """Row and column of every rectangle of free tiles of one branch, from top left to bottom right."""
    if any(side > length for side, length in zip(shape, branches.shape, strict=True)):
        return []
    tiles, untaken = sliding_window_view(branches, shape), sliding_window_view(free, shape)
    alike = tiles.min(axis=(2, 3)) == tiles.max(axis=(2, 3))
    found: list[list[int]] = np.argwhere(alike & untaken.all(axis=(2, 3))).tolist()
    return found


def _reach(
    first: int, count: int, starts: Sequence[int], length: int, where: Plan, geometry: Geometry
) -> tuple[int, int]:
    """Start and length of a window along one axis: shifted into the image at a border, cut only if it is smaller."""
    wanted = where.size + (count - 1) * (where.size - where.overlap) + 2 * geometry.halo
    wanted = min(up(wanted, geometry.multiple_of), up(length, geometry.multiple_of))
    return max(0, min(starts[first] - geometry.halo, length - wanted)), wanted


def _kept(first: int, count: int, seams: Sequence[Span], length: int) -> tuple[Span, int, int]:
    """The part of an axis that a region keeps, and the lengths of its fading ends."""
    before = seams[first - 1] if first else (0, 0)
    after = seams[first + count - 1] if first + count - 1 < len(seams) else (length, length)
    return (before[0], after[1]), before[1] - before[0], after[1] - after[0]
