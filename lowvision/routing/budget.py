"""Keeps to a budget: which tiles go to a cheaper or dearer branch than the classifier would choose, and how many.

The rule is that of PCSR (Jeong et al., ECCV 2024) for any classifier: choose argmax_j (score_j - k * dearness_j); at
k = 0 as trained, above it cheaper. Logits are weighed against the logarithms of what branches cost, as both are then
sums of a tile's factors; a PSNR against the costs themselves, as both then add up over tiles (ARM, Chen et al., ECCV
2022).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Weigh = Callable[[NDArray[np.integer]], NDArray[np.float64]]
"""From what branches cost, (M,) multiply-adds a tile, ascending, to their cost weight (M,) in the rule."""


def logarithms(prices: NDArray[np.integer]) -> NDArray[np.float64]:
    """The cost weight that goes with logits."""
    weights: NDArray[np.float64] = np.log(np.maximum(prices, 1).astype(np.float64))
    return weights


def shares_of_dearest(prices: NDArray[np.integer]) -> NDArray[np.float64]:
    """The cost weight that goes with PSNR, or any score that adds up over tiles."""
    return np.asarray(prices / max(prices.max(), 1), dtype=np.float64)


def chosen(scores: NDArray[np.floating], cost_weight: NDArray[np.float64], k: float) -> NDArray[np.int64]:
    """The rule itself at one k: scores (N,M) and cost weight (M,) -> the branch of each tile (N,)."""
    return np.asarray((scores.astype(np.float64) - k * cost_weight).argmax(axis=1), dtype=np.int64)


@dataclass(frozen=True)
class Steps:
    """Every choice that the rule makes of an image's tiles while k falls: from all cheap to all dear, tile by tile."""

    start: NDArray[np.int64]
    """(N,) the choice at k = infinity."""
    tiles: NDArray[np.int64]
    """(T,) the tile that changes at each step."""
    branches: NDArray[np.int64]
    """(T,) the branch that it changes to."""
    k: NDArray[np.float64]
    """(T,) the k at which it does, falling."""

    @property
    def as_trained(self) -> int:
        """How many steps lead to k = 0, the classifier's own choice."""
        return int((self.k > 0).sum())

    def worthwhile(self) -> Steps:
        """The steps to k = 0 alone: those beyond it spend more for a lower score."""
        count = self.as_trained
        return Steps(self.start, self.tiles[:count], self.branches[:count], self.k[:count])

    def after(self, steps: int) -> NDArray[np.int64]:
        """(N,) the choice after so many steps."""
        choice = self.start.copy()
        choice[self.tiles[:steps]] = self.branches[:steps]  # a later step of the same tile overwrites an earlier one
        return choice


def steps(scores: NDArray[np.floating], cost_weight: NDArray[np.float64]) -> Steps:
    """The steps of tiles with scores (N,M), such as logits, and branches of that cost weight (M,), ascending."""
    # Logits are the logarithm of softmax, but for a constant a tile, which changes no choice.
    exact = scores.astype(np.float64)
    tiles, branches = exact.shape
    current = np.zeros(tiles, dtype=np.int64)
    found: list[tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]] = []
    everyone = np.arange(tiles)
    moving = np.ones(tiles, dtype=bool)
    for _ in range(branches - 1):
        k, following = _next(exact, cost_weight, current)
        moving &= following > current
        if not moving.any():
            break
        found.append((k[moving], everyone[moving], following[moving]))
        current = np.where(moving, following, current)
    if not found:
        nothing = np.empty(0, np.int64)
        return Steps(np.zeros(tiles, dtype=np.int64), nothing, nothing, np.empty(0))
    k, which, to = (np.concatenate(parts) for parts in zip(*found, strict=True))
    # Stable, so that the steps of one tile, which were found in order, stay in order.
    order = np.argsort(-k, kind="stable")
    return Steps(np.zeros(tiles, dtype=np.int64), which[order], to[order], k[order])


def most_within(budget: float, found: Steps, cost: Callable[[NDArray[np.int64]], int]) -> tuple[NDArray[np.int64], int]:
    """The choice (N,) of the most steps whose cost is within `budget`, and its cost; the cheapest if none is.

    cost: multiply-adds of a choice. It need not rise at every step, as merging tiles makes it jump a little.
    """
    low, high = 0, len(found.tiles) + 1
    best = found.after(0)
    spent = cost(best)
    while high - low > 1:
        middle = (low + high) // 2
        choice = found.after(middle)
        price = cost(choice)
        if price <= budget:
            low, best, spent = middle, choice, price
        else:
            high = middle
    return best, spent


def cost_weight_within(
    budget: float, scores: NDArray[np.floating], cost_weight: NDArray[np.float64], prices: NDArray[np.integer]
) -> float:
    """The k at which what the rule chooses for many tiles together costs most, but not more than `budget`.

    scores (N,M), cost weight and prices (M,), ascending. It lies between two steps, so that rounding moves no tile;
    above them all where even the cheapest costs more. Tiles with equal scores go together.
    """
    found = steps(scores, cost_weight)
    if not len(found.k):
        return 0.0
    # All steps of one k are one, but for rounding.
    apart = ~np.isclose(found.k[1:], found.k[:-1], rtol=1e-9, atol=1e-12)
    ends = np.concatenate([[0], np.flatnonzero(apart) + 1, [len(found.k)]])
    low, high = 0, len(ends)
    while high - low > 1:
        middle = (low + high) // 2
        within = prices[found.after(ends[middle])].sum() <= budget
        low, high = (middle, high) if within else (low, middle)
    around = np.concatenate([[found.k[0] + 2], found.k, [found.k[-1] - 2]])
    return float(around[ends[low] : ends[low] + 2].mean())


def _next(
    scores: NDArray[np.float64], cost_weight: NDArray[np.float64], current: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """For each tile the largest k at which a dearer branch becomes as good as the current one, and that branch."""
    tiles = np.arange(len(scores))
    rise = cost_weight[None, :] - cost_weight[current][:, None]  # (N, M)
    gain = scores - scores[tiles, current][:, None]  # (N, M)
    with np.errstate(divide="ignore", invalid="ignore"):
        k = np.where(rise > 0, gain / rise, -np.inf)  # (N, M)
    # Of branches that become as good at once the dearest is next.
    following = k.shape[1] - 1 - np.argmax(k[:, ::-1], axis=1)
    best = k[tiles, following]
    return best, np.where(np.isfinite(best), following, current)
