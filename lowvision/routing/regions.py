"""Merge neighbouring tiles of one branch into regions, and compute the image window of each region.

A region costs less than its overlapping tiles, and its inner pixels see all of their neighbours. A pixel gets the same
value as in the whole image if the window covers the receptive field around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowvision.routing.tiling import Span, Tiling, up

DIVIDED = 16
"""Tiles of one branch from which on they become two regions, for several cores."""


@dataclass(frozen=True)
class Geometry:
    """Parameters of merging the tiles of one branch into windows of the image."""

    merge: int = 1
    """Maximum rows and columns of tiles per region; 1: no merging."""
    halo: int = 0
    """Pixels of context around a region, beyond the overlap of tiles."""
    multiple_of: int = 1
    """Divisor of the height and width of every window."""

    @property
    def alone(self) -> Geometry:
        """Return the geometry without merging: every tile alone, as in training and in the paper."""
        return Geometry(multiple_of=self.multiple_of)

    def shapes(self, most: int | None = None) -> tuple[tuple[int, int], ...]:
        """Allowed (rows, columns) of a region, the largest first; few, because runtimes compile for each size.

        most: limit on the tiles of a region; one tile is always allowed.
        """
        sides = [1 << power for power in range(self.merge.bit_length())]
        limit = max(1, most if most is not None else self.merge**2)
        shapes = [(rows, columns) for rows in sides for columns in sides if rows * columns <= limit]
        return tuple(sorted(shapes, key=lambda shape: -shape[0] * shape[1]))


@dataclass(frozen=True)
class Region:
    """A rectangle of tiles that one branch restores as a single window."""

    row: int
    column: int
    rows: int
    columns: int
    branch: int


@dataclass(frozen=True)
class Window:
    """A rectangle of the image, and the part of it that is kept."""

    top: int
    left: int
    height: int
    width: int
    rows: Span
    """Kept rows, in pixels of the image, seams included."""
    columns: Span
    """Kept columns, in pixels of the image, seams included."""
    fades: tuple[int, int, int, int]
    """Lengths of the seams over which it fades, in pixels: above, below, left, right."""
    branch: int
    tiles: int
    """Number of merged tiles."""


def merged(
    choice: NDArray[Any] | Sequence[Sequence[int]], geometry: Geometry, first_row: int = 0, most: int | None = None
) -> list[Region]:
    """Cover rows of tiles with regions of one branch each.

    Rows of a single branch are divided evenly, so that windows overlap least; otherwise regions are taken greedily,
    from the largest shape to the smallest.

    choice: the branch of each tile. first_row: number of the first row within the tiles of the image. most: limit on
    the tiles of a region if branches differ, so that a small image does not leave all but one core idle.
    """
    branches = np.asarray(choice)
    if geometry.merge > 1 and (branches == branches[0, 0]).all():
        return _divided(branches, geometry.merge, first_row)
    free = np.ones_like(branches, dtype=bool)
    regions = []
    for shape in geometry.shapes(most):
        if not free.any():
            break
        height, width = shape
        for row, column in _uniform_rectangles(branches, free, shape):
            rectangle = free[row : row + height, column : column + width]
            if rectangle.all():  # no region of this shape has taken a part of it
                rectangle[:] = False
                regions.append(Region(first_row + row, column, height, width, int(branches[row, column])))
    return regions


def _divided(branches: NDArray[Any], merge: int, first_row: int) -> list[Region]:
    """Divide tiles of one branch into regions of nearly equal size; one region only if they are few."""
    height, width = branches.shape
    down, across = (up(length, merge) // merge for length in (height, width))
    if down == across == 1 and height * width >= DIVIDED:
        down, across = (2, 1) if height > width else (1, 2)
    branch = int(branches[0, 0])
    return [
        Region(first_row + top, left, bottom - top, right - left, branch)
        for top, bottom in _spans(height, down)
        for left, right in _spans(width, across)
    ]


def _spans(length: int, count: int) -> list[Span]:
    """Divide a length into spans of nearly equal length."""
    return list(pairwise(length * n // count for n in range(count + 1)))


def window(region: Region, tiling: Tiling, geometry: Geometry) -> Window:
    """Return the window of a region; its size depends on the shape of the region alone, not on its position."""
    top, height = _extent(region.row, region.rows, tiling.tops, tiling.height, tiling, geometry)
    left, width = _extent(region.column, region.columns, tiling.lefts, tiling.width, tiling, geometry)
    rows, above, below = _kept(region.row, region.rows, tiling.seams_down, tiling.height)
    columns, before, after = _kept(region.column, region.columns, tiling.seams_right, tiling.width)
    fades = above, below, before, after
    return Window(top, left, height, width, rows, columns, fades, region.branch, region.rows * region.columns)


def window_size(rows: int, columns: int, tiling: Tiling, geometry: Geometry) -> tuple[int, int]:
    """Return height and width of the window of any region of that many rows and columns of tiles."""
    height = _extent(0, rows, tiling.tops, tiling.height, tiling, geometry)[1]
    return height, _extent(0, columns, tiling.lefts, tiling.width, tiling, geometry)[1]


def _uniform_rectangles(branches: NDArray[Any], free: NDArray[np.bool_], shape: tuple[int, int]) -> list[list[int]]:
    """List row and column of every rectangle of free tiles of one branch, from top left to bottom right.

    The sides of a rectangle are powers of two: it is uniform if both halves are, and begin with the same branch.
    """
    if any(side > length for side, length in zip(shape, free.shape, strict=True)):
        return []
    uniform, first = free, branches
    for side in (1 << power for power in range(shape[0].bit_length() - 1)):
        same = first[:-side] == first[side:]
        uniform, first = uniform[:-side] & uniform[side:] & same, first[:-side]
    for side in (1 << power for power in range(shape[1].bit_length() - 1)):
        same = first[:, :-side] == first[:, side:]
        uniform, first = uniform[:, :-side] & uniform[:, side:] & same, first[:, :-side]
    corners: list[list[int]] = np.argwhere(uniform).tolist()
    return corners


def _extent(
    first: int, count: int, starts: Sequence[int], length: int, tiling: Tiling, geometry: Geometry
) -> tuple[int, int]:
    """Return start and length of a window along one axis: shifted into the image, cut only if the image is smaller."""
    extent = tiling.size + (count - 1) * (tiling.size - tiling.overlap) + 2 * geometry.halo
    extent = min(up(extent, geometry.multiple_of), up(length, geometry.multiple_of))
    return max(0, min(starts[first] - geometry.halo, length - extent)), extent


def _kept(first: int, count: int, seams: Sequence[Span], length: int) -> tuple[Span, int, int]:
    """Return the span of an axis that a region keeps, and the lengths of its seams before and after."""
    before = seams[first - 1] if first else (0, 0)
    after = seams[first + count - 1] if first + count - 1 < len(seams) else (length, length)
    return (before[0], after[1]), before[1] - before[0], after[1] - after[0]
