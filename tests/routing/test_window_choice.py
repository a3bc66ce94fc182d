"""Claims about the choice by windows: the best division at exact costs, within any budget."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lowvision.routing.window_choice import PerWindow, WindowPrices, remaining_gain

SHAPES = ((1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2))
COSTS = {(rows, columns): np.array([0.01, 0.1, 1.0]) * (0.5 + 0.5 * rows * columns) for rows, columns in SHAPES}
"""A window of n tiles costs (n + 1) / 2 tiles."""
LARGER_IS_BETTER = {shape: 1 - 0.5 / (shape[0] * shape[1]) for shape in SHAPES}

Grid = NDArray[np.float64]


def rule(
    scores: Grid,
    costs: Mapping[tuple[int, int], NDArray[np.float64]] = COSTS,
    gains: Mapping[tuple[int, int], float] = LARGER_IS_BETTER,
) -> PerWindow:
    """Return the rule for scores (rows,columns,M)."""
    return PerWindow(scores.reshape(-1, scores.shape[2]), WindowPrices(scores.shape[1], costs, gains))


def grids(rows: int = 5, columns: int = 3) -> st.SearchStrategy[Grid]:
    seeds = st.integers(0, 2**32 - 1)
    shapes = st.tuples(st.integers(1, rows), st.integers(1, columns))
    return st.builds(lambda seed, shape: -np.random.default_rng(seed).random((*shape, 3)), seeds, shapes)


def value(scores: Grid, k: float, choice: NDArray[np.int64] | None = None) -> float:
    """Return the largest sum of scores - k * cost over all divisions into windows, or over those of a choice."""
    rows, columns, branches = scores.shape

    def best(top: int, left: int, height: int, width: int) -> float:
        if top >= rows or left >= columns:
            return 0.0
        part = (slice(top, top + height), slice(left, left + width))
        values = [-np.inf]
        if top + height <= rows and left + width <= columns:
            sums = scores[part].sum(axis=(0, 1))
            sums[-1] = sums[-2] + LARGER_IS_BETTER[height, width] * (sums[-1] - sums[-2])
            allowed = [b for b in range(branches) if choice is None or (choice[part] == b).all()]
            values += [sums[b] - k * COSTS[height, width][b] for b in allowed]
        if height > 1:
            values.append(best(top, left, height // 2, width) + best(top + height // 2, left, height // 2, width))
        if width > 1:
            values.append(best(top, left, height, width // 2) + best(top, left + width // 2, height, width // 2))
        return float(max(values))

    return sum(best(top, left, 4, 2) for top in range(0, rows, 4) for left in range(0, columns, 2))


def cost(choice: NDArray[np.int64]) -> int:
    return int(np.array([10, 100, 1000])[choice].sum())


@given(scores=grids(), k=st.floats(0, 5))
def test_no_division_into_windows_has_a_larger_value(scores: Grid, k: float) -> None:
    choice = rule(scores).at(k).reshape(scores.shape[:2])
    assert value(scores, k, choice) == pytest.approx(value(scores, k))


@given(scores=grids())
def test_without_a_price_and_borders_every_tile_takes_its_best_branch(scores: Grid) -> None:
    choice = rule(scores, gains=dict.fromkeys(SHAPES, 1.0)).at(0.0)
    assert np.array_equal(choice, scores.argmax(axis=2).ravel())


def test_tiles_that_are_easy_go_with_their_neighbours_if_that_is_cheaper() -> None:
    scores = np.zeros((2, 2, 3))
    scores[..., :2] = -0.6  # the base gains 0.6 on each tile but one
    scores[1, 1] = 0.0
    assert (rule(scores, {shape: COSTS[shape] for shape in SHAPES[:4]}).at(0.5) == 2).all()
    assert (rule(scores, {(1, 1): COSTS[1, 1]}).at(0.5) == 0).all()


@given(scores=grids(), budget=st.integers(0, 20000))
def test_a_budget_is_kept_or_the_choice_is_the_cheapest(scores: Grid, budget: int) -> None:
    choice, spent = rule(scores).within(budget, cost)
    assert spent == cost(choice)
    assert spent <= budget or (choice == 0).all()


def test_a_large_budget_buys_the_base_wherever_it_gains() -> None:
    scores = np.full((4, 2, 3), -1.0)
    scores[..., 2] = -0.01
    choice, _ = rule(scores).within(10**9, cost)
    assert (choice == 2).all()


def test_scores_that_are_all_equal_buy_nothing() -> None:
    choice, spent = rule(np.zeros((2, 2, 3))).within(10**9, cost)
    assert (choice == 0).all()
    assert spent == cost(choice)


@pytest.mark.parametrize(("border", "remaining"), [((0.0,), 1.0), ((1.0,), 0.0), ((2.0,), -1.0)])
def test_the_gain_that_remains_is_what_the_border_leaves(border: tuple[float, ...], remaining: float) -> None:
    assert remaining_gain(border, 16, 24, 2) == remaining


def test_only_pixels_that_the_window_keeps_count() -> None:
    border = (9.0, 1.0, 0.0)  # at distance 0, 1, and further
    assert remaining_gain(border, 6, 6, 1) == pytest.approx(1 - 12 / 16)  # 4x4 pixels, of which the outer 12 are lost
    assert remaining_gain(border, 6, 6, 2) == 1


@given(st.integers(8, 64), st.integers(1, 64), st.integers(0, 3))
def test_a_larger_window_keeps_more(side: int, more: int, margin: int) -> None:
    border = (1.0, 0.8, 0.5, 0.2, 0.0)
    sizes: Mapping[str, tuple[int, int]] = {"small": (side, side), "large": (side + more, side)}
    assert remaining_gain(border, *sizes["small"], margin) <= remaining_gain(border, *sizes["large"], margin) + 1e-12
