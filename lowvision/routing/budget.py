"""Meet a budget of multiply-adds: select the branch of each tile by Lagrangian relaxation.

Maximise the sum of scores under a limit on the sum of costs: each tile takes argmax_j (score_j - k * cost_weight_j),
where `k` is the Lagrange multiplier. k = 0 is the classifier's own choice, a larger k is cheaper. As k falls from
infinity, tiles switch to more expensive branches one at a time; `ParetoPath` lists these switches. Each prefix of the
path is a Pareto point: no other selection has a higher total score at the same total cost weight.

PCSR (Jeong et al., ECCV 2024) uses this rule for its two branches; here it serves any classifier. The cost weight of
logits is the logarithm of the branch cost, because both are sums over the factors of a tile. The cost weight of PSNR is
the branch cost itself, because both add up over tiles (ARM, Chen et al., ECCV 2022).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Weigh = Callable[[NDArray[np.integer]], NDArray[np.float64]]
"""Map branch costs (M,), multiply-adds per tile in ascending order, to cost weights (M,)."""


def logarithms(costs: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the cost weight for logits: the logarithm of each branch cost."""
    weights: NDArray[np.float64] = np.log(np.maximum(costs, 1).astype(np.float64))
    return weights


def shares_of_largest_cost(costs: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the cost weight for PSNR, or any score that adds up over tiles: each cost divided by the largest."""
    return np.asarray(costs / max(costs.max(), 1), dtype=np.float64)


def chosen(scores: NDArray[np.floating], cost_weight: NDArray[np.float64], k: float) -> NDArray[np.int64]:
    """Apply the rule at one k: scores (N,M) and cost weight (M,) -> the branch of each tile (N,)."""
    return np.asarray((scores.astype(np.float64) - k * cost_weight).argmax(axis=1), dtype=np.int64)


@dataclass(frozen=True)
class ParetoPath:
    """All selections that the rule makes as k falls from infinity: one tile switches to another branch per step."""

    start: NDArray[np.int64]
    """(N,) the selection at k = infinity."""
    tiles: NDArray[np.int64]
    """(T,) the tile that switches at each step."""
    branches: NDArray[np.int64]
    """(T,) the branch that it switches to."""
    k: NDArray[np.float64]
    """(T,) the k at which it switches, in descending order."""

    @property
    def as_trained(self) -> int:
        """Number of steps to k = 0, the classifier's own choice."""
        return int((self.k > 0).sum())

    def worthwhile(self) -> ParetoPath:
        """Return the path to k = 0: later steps cost more and lower the score."""
        count = self.as_trained
        return ParetoPath(self.start, self.tiles[:count], self.branches[:count], self.k[:count])

    def after(self, steps: int) -> NDArray[np.int64]:
        """Return the selection (N,) after the first `steps` steps."""
        choice = self.start.copy()
        choice[self.tiles[:steps]] = self.branches[:steps]  # a later step of the same tile overwrites an earlier one
        return choice


def pareto_path(scores: NDArray[np.floating], cost_weight: NDArray[np.float64]) -> ParetoPath:
    """Return the Pareto path for scores (N,M) of tiles, e.g. logits, and cost weights (M,) of branches, ascending."""
    # Logits differ from the logarithm of softmax by one constant per tile, which changes no selection.
    exact = scores.astype(np.float64)
    tiles, branches = exact.shape
    current = np.zeros(tiles, dtype=np.int64)
    rounds: list[tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]] = []
    numbers = np.arange(tiles)
    moving = np.ones(tiles, dtype=bool)
    for _ in range(branches - 1):
        k, following = _next(exact, cost_weight, current)
        moving &= following > current
        if not moving.any():
            break
        rounds.append((k[moving], numbers[moving], following[moving]))
        current = np.where(moving, following, current)
    start = np.zeros(tiles, dtype=np.int64)
    if not rounds:
        empty = np.empty(0, np.int64)
        return ParetoPath(start, empty, empty, np.empty(0))
    k, switching, targets = (np.concatenate(parts) for parts in zip(*rounds, strict=True))
    # A stable sort keeps the steps of one tile in the order in which the rounds added them.
    order = np.argsort(-k, kind="stable")
    return ParetoPath(start, switching[order], targets[order], k[order])


@dataclass(frozen=True)
class PerTile:
    """The rule for the tiles of an image, each alone."""

    scores: NDArray[np.floating]
    """(N,M)."""
    cost_weight: NDArray[np.float64]
    """(M,), ascending."""

    def at(self, k: float) -> NDArray[np.int64]:
        """Return the branch of each tile (N,) for one k."""
        return chosen(self.scores, self.cost_weight, k)

    def within(self, budget: float, cost: Callable[[NDArray[np.int64]], int]) -> tuple[NDArray[np.int64], int]:
        """Return the choice (N,) that `most_within` finds, and its cost."""
        return most_within(budget, pareto_path(self.scores, self.cost_weight), cost)


def most_within(
    budget: float, path: ParetoPath, cost: Callable[[NDArray[np.int64]], int]
) -> tuple[NDArray[np.int64], int]:
    """Return the selection (N,) furthest along the path whose cost is within `budget`, and that cost.

    If no selection is within the budget, the cheapest is returned.
    cost: multiply-adds of a selection. Merged tiles make it fall slightly at some steps; the binary search tolerates
    that.
    """
    low, high = 0, len(path.tiles) + 1
    best = path.after(0)
    spent = cost(best)
    while high - low > 1:
        middle = (low + high) // 2
        choice = path.after(middle)
        needed = cost(choice)
        if needed <= budget:
            low, best, spent = middle, choice, needed
        else:
            high = middle
    return best, spent


def cost_weight_within(
    budget: float, scores: NDArray[np.floating], cost_weight: NDArray[np.float64], costs: NDArray[np.integer]
) -> float:
    """Return the k whose selection for all tiles together costs most without exceeding `budget`.

    scores (N,M), cost weight and costs (M,), ascending. k lies between two steps of the path, so that rounding moves
    no tile. If even the cheapest selection exceeds the budget, k lies above all steps. Tiles with equal scores switch
    together.
    """
    path = pareto_path(scores, cost_weight)
    if not len(path.k):
        return 0.0
    # Steps whose k differ only by rounding are one step.
    apart = ~np.isclose(path.k[1:], path.k[:-1], rtol=1e-9, atol=1e-12)
    ends = np.concatenate([[0], np.flatnonzero(apart) + 1, [len(path.k)]])
    low, high = 0, len(ends)
    while high - low > 1:
        middle = (low + high) // 2
        within = costs[path.after(ends[middle])].sum() <= budget
        low, high = (middle, high) if within else (low, middle)
    around = np.concatenate([[path.k[0] + 2], path.k, [path.k[-1] - 2]])
    return float(around[ends[low] : ends[low] + 2].mean())


def _next(
    scores: NDArray[np.float64], cost_weight: NDArray[np.float64], current: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return per tile the largest k at which a more expensive branch equals the current one, and that branch."""
    tiles = np.arange(len(scores))
    rise = cost_weight[None, :] - cost_weight[current][:, None]  # (N, M)
    gain = scores - scores[tiles, current][:, None]  # (N, M)
    with np.errstate(divide="ignore", invalid="ignore"):
        k = np.where(rise > 0, gain / rise, -np.inf)  # (N, M)
    # If several branches become equal at the same k, take the most expensive.
    following = k.shape[1] - 1 - np.argmax(k[:, ::-1], axis=1)
    best = k[tiles, following]
    return best, np.where(np.isfinite(best), following, current)
