"""Choose branches by the windows into which tiles are merged, for a base that needs much context.

Near the border of a window, a base with a large receptive field lacks context, and its error is larger. A single tile
then gains little and, with its overlap, costs much; many tiles in one window gain nearly all and cost less each. The
choice per tile (`lowvision/routing/budget.py`) knows neither. Here, the sum of scores - k * cost is maximised with the
exact costs of windows: every rectangle of tiles whose sides and position are powers of two is either one window or
divided into two halves, and the best division is found from the smallest rectangles up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int]
"""Rows and columns of the tiles of a window."""
BISECTIONS = 30
"""Halvings of the range of k until a budget is met."""
SMALLEST = 1e-6
"""Smallest k of that range, as a fraction of the largest."""


@dataclass(frozen=True)
class WindowPrices:
    """The cost of each possible window of an image, and how much of its gain the base keeps there."""

    columns: int
    """Tiles in a row of the image."""
    costs: Mapping[Shape, NDArray[np.float64]]
    """Cost weights (M,) of the branches on a window of each shape, whose sides are powers of two."""
    gains: Mapping[Shape, float]
    """Fraction of the base's gain over the branch before it that remains in a window of each shape."""


@dataclass(frozen=True)
class _Division:
    """The best division of every rectangle of one shape into windows."""

    scores: NDArray[np.float64]
    """(R,C,M) sums over the tiles of each of RxC rectangles; NaN if it reaches past the image."""
    value: NDArray[np.float64]
    """(R,C) scores - k * cost of the division."""
    choice: NDArray[np.int64]
    """(rows,columns) the branch of each tile."""


@dataclass(frozen=True)
class PerWindow:
    """The choice by windows, as `lowvision.routing.budget.PerTile` is that by tiles."""

    scores: NDArray[np.floating]
    """(N,M) of the tiles, row by row."""
    prices: WindowPrices

    def at(self, k: float) -> NDArray[np.int64]:
        """Return the branch of each tile (N,) for one k."""
        grid = self.scores.reshape(-1, self.prices.columns, self.scores.shape[1])
        return _chosen(grid, self.prices, k).ravel()

    def within(self, budget: float, cost: Callable[[NDArray[np.int64]], int]) -> tuple[NDArray[np.int64], int]:
        """Return the choice (N,) for the smallest k whose cost is within `budget`, and that cost.

        If no choice is within the budget, the cheapest is returned.
        """
        best = np.zeros(len(self.scores), dtype=np.int64)
        spent = cost(best)
        # A tile gains at most the spread of the scores, and costs at least this much more in any window.
        dearer = min((each[-1] - each[0]) / (rows * columns) for (rows, columns), each in self.prices.costs.items())
        high = float(np.ptp(self.scores)) / max(dearer, SMALLEST)
        low = SMALLEST * high
        for _ in range(BISECTIONS):
            middle = (low * high) ** 0.5
            choice = self.at(middle)
            needed = cost(choice)
            if needed <= budget:
                high, best, spent = middle, choice, needed
            else:
                low = middle
        return best, spent


@lru_cache(maxsize=256)  # the windows of all images have few sizes
def remaining_gain(border: tuple[float, ...], height: int, width: int, margin: int) -> float:
    """Return the fraction of the base's gain that remains in a window.

    border: error at each distance from the border of a window, relative to the error of the branch before the base; the
    last value holds further inside. margin: pixels along each side that other windows replace.
    """
    down, across = (
        np.minimum(np.arange(side), np.arange(side)[::-1])[margin : side - margin] for side in (height, width)
    )
    distances = np.minimum(down[:, None], across)
    return float(1 - np.asarray(border)[np.minimum(distances, len(border) - 1)].mean())


def _chosen(scores: NDArray[np.floating], prices: WindowPrices, k: float) -> NDArray[np.int64]:
    """Return the branch of each tile (rows,columns) for the scores (rows,columns,M) and one k."""
    rows, columns, _ = scores.shape
    shapes = sorted(prices.costs, key=lambda shape: shape[0] * shape[1])
    down, across = shapes[-1]
    missing = ((0, -rows % down), (0, -columns % across), (0, 0))
    padded = np.pad(scores.astype(np.float64), missing, constant_values=np.nan)
    best: dict[Shape, _Division] = {}
    for height, width in shapes:
        if height <= down and width <= across:
            halves = [_joined(best[height // 2, width], 0)] if height > 1 else []
            halves += [_joined(best[height, width // 2], 1)] if width > 1 else []
            values = _values(halves[0].scores if halves else padded, prices, (height, width), k)
            best[height, width] = _better(values, halves, (height, width)) if halves else _single(padded, values)
    return best[down, across].choice[:rows, :columns]


def _joined(half: _Division, axis: int) -> _Division:
    """Join neighbouring rectangles in pairs, each divided as before."""
    even, odd = (slice(None),) * axis + (slice(0, None, 2),), (slice(None),) * axis + (slice(1, None, 2),)
    return _Division(half.scores[even] + half.scores[odd], half.value[even] + half.value[odd], half.choice)


def _values(scores: NDArray[np.float64], prices: WindowPrices, shape: Shape, k: float) -> NDArray[np.float64]:
    """Return scores - k * cost (R,C,M) of rectangles that are one window each."""
    base = scores[..., -2] + prices.gains[shape] * (scores[..., -1] - scores[..., -2])
    result: NDArray[np.float64] = np.concatenate([scores[..., :-1], base[..., None]], axis=-1) - k * prices.costs[shape]
    return result


def _single(scores: NDArray[np.float64], values: NDArray[np.float64]) -> _Division:
    """Return the division of single tiles; tiles past the image count nothing."""
    return _Division(scores, np.nan_to_num(values.max(axis=-1)), values.argmax(axis=-1))


def _better(values: NDArray[np.float64], halves: list[_Division], shape: Shape) -> _Division:
    """Return for each rectangle one window, if that is best, or its best halves."""

    def per_tile(rectangles: NDArray[np.generic]) -> NDArray[np.generic]:
        return rectangles.repeat(shape[0], axis=0).repeat(shape[1], axis=1)

    value, choice = halves[0].value, halves[0].choice
    for half in halves[1:]:
        choice = np.where(per_tile(half.value > value), half.choice, choice)
        value = np.maximum(value, half.value)
    undivided = values.max(axis=-1)  # NaN, and so never the best, past the image
    best = undivided >= value
    choice = np.where(per_tile(best), per_tile(values.argmax(axis=-1)), choice)
    return _Division(halves[0].scores, np.where(best, undivided, value), choice)
