"""The budget search is Lagrangian relaxation: the Pareto path leads from the cheapest to the most expensive choice."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lowvision.routing.budget import (
    chosen,
    cost_weight_within,
    logarithms,
    most_within,
    pareto_path,
    shares_of_largest_cost,
)

COSTS = np.array([10, 25, 40])
COST_WEIGHT = logarithms(COSTS)
LOGITS = arrays.arrays(np.float64, st.tuples(st.integers(1, 30), st.just(3)), elements=st.floats(-9, 9, width=32))


def shortfall(logits: np.ndarray, k: float, choice: np.ndarray) -> float:
    """Return the largest gap of a selection to the maximum of score - k * log(cost); 0 if it follows the rule."""
    values = logits - k * np.log(COSTS)
    return float((values.max(axis=1) - values[np.arange(len(values)), choice]).max())


@settings(max_examples=80, deadline=None)
@given(logits=LOGITS, k=st.floats(-60, 60))
def test_the_path_holds_an_optimal_selection_for_every_multiplier(logits, k):
    path = pareto_path(logits, COST_WEIGHT)
    assert min(shortfall(logits, k, path.after(n)) for n in range(len(path.tiles) + 1)) < 1e-6


@settings(max_examples=80, deadline=None)
@given(logits=LOGITS, k=st.floats(-60, 60))
def test_a_multiplier_selects_the_result_of_all_steps_above_it(logits, k):
    path = pareto_path(logits, COST_WEIGHT)
    assert shortfall(logits, k, path.after(int((path.k > k).sum()))) < 1e-6
    assert shortfall(logits, k, chosen(logits, COST_WEIGHT, k)) < 1e-6


@settings(max_examples=80, deadline=None)
@given(logits=LOGITS)
def test_at_multiplier_zero_the_classifier_decides(logits):
    path = pareto_path(logits, COST_WEIGHT)
    assert shortfall(logits, 0.0, path.after(path.as_trained)) < 1e-6


@settings(max_examples=80, deadline=None)
@given(logits=LOGITS)
def test_the_path_goes_from_cheapest_to_most_expensive_one_tile_at_a_time(logits):
    path = pareto_path(logits, COST_WEIGHT)
    choices = [path.after(n) for n in range(len(path.tiles) + 1)]
    assert not choices[0].any()
    assert (choices[-1] == 2).all()
    for before, after in pairwise(choices):
        assert (after >= before).all()
        assert (after != before).sum() == 1


@settings(max_examples=80, deadline=None)
@given(logits=LOGITS, share=st.floats(0, 1.2))
def test_a_budget_is_spent_up_to_one_tile_and_not_exceeded(logits, share):
    def cost(choice: np.ndarray) -> int:
        return int(COSTS[choice].sum())

    budget = share * len(logits) * COSTS[-1]
    choice, spent = most_within(budget, pareto_path(logits, COST_WEIGHT), cost)
    assert spent == cost(choice) <= max(budget, len(logits) * COSTS[0])  # the minimum: all tiles on the cheapest branch
    assert (choice == 2).all() or budget - spent < COSTS[-1] - COSTS[0]


def test_tiles_with_equal_scores_switch_one_by_one():
    path = pareto_path(np.zeros((10, 3)), COST_WEIGHT)
    _, spent = most_within(250, path, lambda choice: int(COSTS[choice].sum()))
    assert 250 - 40 < spent <= 250


@pytest.mark.parametrize("huge", [1e3, 1e6])
def test_a_budget_overrides_even_a_certain_classifier(huge):
    logits = np.array([[0.0, 0.0, huge], [huge, 0.0, 0.0]])  # softmax would be exactly 0 and 1
    path = pareto_path(logits, COST_WEIGHT)
    assert path.after(path.as_trained).tolist() == [2, 0]
    assert path.after(0).tolist() == [0, 0]
    assert path.after(len(path.tiles)).tolist() == [2, 2]


@settings(max_examples=40, deadline=None)
@given(errors=arrays.arrays(np.float64, st.tuples(st.integers(1, 6), st.just(3)), elements=st.floats(0, 9, width=32)))
def test_with_true_errors_no_selection_of_the_same_cost_is_better(errors):
    path = pareto_path(-errors, shares_of_largest_cost(COSTS)).worthwhile()
    every = np.stack(np.meshgrid(*[range(3)] * len(errors)), axis=-1).reshape(-1, len(errors))
    spent, lost = COSTS[every].sum(axis=1), errors[np.arange(len(errors)), every].sum(axis=1)
    for n in range(len(path.tiles) + 1):
        choice = path.after(n)
        within = lost[spent <= COSTS[choice].sum()].min()
        assert errors[np.arange(len(errors)), choice].sum() <= within + 1e-6


@settings(max_examples=80, deadline=None)
@given(logits=LOGITS, share=st.floats(0, 1.2))
def test_the_multiplier_keeps_the_budget_and_the_next_step_exceeds_it(logits, share):
    budget = share * COSTS[-1] * len(logits)
    k = cost_weight_within(budget, logits, COST_WEIGHT, COSTS)
    spent = COSTS[chosen(logits, COST_WEIGHT, k)].sum()
    below = pareto_path(logits, COST_WEIGHT).k - 1e-6
    more_expensive = [COSTS[chosen(logits, COST_WEIGHT, other)].sum() for other in below]
    assert spent <= max(budget, COSTS[0] * len(logits))
    assert not any(spent < cost <= budget for cost in more_expensive)


def test_a_single_branch_has_multiplier_zero():
    assert cost_weight_within(1.0, np.zeros((4, 1)), np.zeros(1), np.array([7])) == 0
