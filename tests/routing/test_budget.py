"""The budget's rule: from all cheap to all dear, tile by tile, through the classifier's own choice."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lowvision.routing.budget import chosen, cost_weight_within, logarithms, most_within, shares_of_dearest, steps

PRICES = np.array([10, 25, 40])
DEARNESS = logarithms(PRICES)
LOGITS = arrays.arrays(np.float64, st.tuples(st.integers(1, 30), st.just(3)), elements=st.floats(-9, 9, width=32))


def best(logits: np.ndarray, k: float) -> np.ndarray:
    """The rule itself (METHODS: argmax of log p minus k times log price)."""
    return (logits - k * np.log(PRICES)).argmax(axis=1)


@settings(max_examples=80, deadline=None)
@given(logits=LOGITS, k=st.floats(-60, 60))
def test_every_k_is_one_of_the_steps(logits, k):
    found = steps(logits, DEARNESS)
    wanted = best(logits, k)
    gaps = np.sort(logits - k * np.log(PRICES), axis=1)
    if (gaps[:, 2] - gaps[:, 1] > 1e-6).all():  # at a tie either is right
        assert any(np.array_equal(found.after(n), wanted) for n in range(len(found.tiles) + 1))


@settings(max_examples=80, deadline=None)
@given(logits=LOGITS)
def test_without_a_price_it_is_the_classifiers_choice(logits):
    found = steps(logits, DEARNESS)
    top = np.sort(logits, axis=1)
    decided = top[:, 2] - top[:, 1] > 1e-6
    assert np.array_equal(found.after(found.as_trained)[decided], logits.argmax(axis=1)[decided])


@settings(max_examples=80, deadline=None)
@given(logits=LOGITS)
def test_steps_lead_from_the_cheapest_to_the_dearest_one_tile_at_a_time(logits):
    found = steps(logits, DEARNESS)
    choices = [found.after(n) for n in range(len(found.tiles) + 1)]
    assert not choices[0].any()
    assert (choices[-1] == 2).all()
    for one, other in pairwise(choices):
        assert (other >= one).all()
        assert (other != one).sum() == 1


@settings(max_examples=80, deadline=None)
@given(logits=LOGITS, share=st.floats(0, 1.2))
def test_a_budget_is_kept_and_used_but_for_one_tile(logits, share):
    def cost(choice: np.ndarray) -> int:
        return int(PRICES[choice].sum())

    budget = share * len(logits) * PRICES[-1]
    choice, spent = most_within(budget, steps(logits, DEARNESS), cost)
    assert spent == cost(choice)
    if (choice == 0).all():
        assert spent == len(logits) * PRICES[0]  # nothing is cheaper
    else:
        assert spent <= budget
    if (choice < 2).any():
        assert budget - spent < PRICES[-1] - PRICES[0]


def test_tiles_that_look_alike_are_still_taken_one_by_one():
    found = steps(np.zeros((10, 3)), DEARNESS)
    _, spent = most_within(250, found, lambda choice: int(PRICES[choice].sum()))
    assert 250 - 40 < spent <= 250


@pytest.mark.parametrize("huge", [1e3, 1e6])
def test_a_classifier_that_is_very_sure_can_still_be_overruled(huge):
    logits = np.array([[0.0, 0.0, huge], [huge, 0.0, 0.0]])  # softmax would say exactly 0 and 1
    found = steps(logits, DEARNESS)
    assert found.after(found.as_trained).tolist() == [2, 0]
    assert found.after(0).tolist() == [0, 0]
    assert found.after(len(found.tiles)).tolist() == [2, 2]


@settings(max_examples=80, deadline=None)
@given(logits=LOGITS, k=st.floats(-60, 60))
def test_the_rule_at_one_k_is_the_choice_after_the_steps_above_it(logits, k):
    found = steps(logits, DEARNESS)
    if not np.isclose(found.k, k, atol=1e-6).any():  # at a tie either is right
        assert np.array_equal(chosen(logits, DEARNESS, k), found.after(int((found.k > k).sum())))


@settings(max_examples=40, deadline=None)
@given(errors=arrays.arrays(np.float64, st.tuples(st.integers(1, 6), st.just(3)), elements=st.floats(0, 9, width=32)))
def test_with_true_errors_no_choice_of_the_same_cost_is_better(errors):
    found = steps(-errors, shares_of_dearest(PRICES)).worthwhile()
    every = np.stack(np.meshgrid(*[range(3)] * len(errors)), axis=-1).reshape(-1, len(errors))
    spent, lost = PRICES[every].sum(axis=1), errors[np.arange(len(errors)), every].sum(axis=1)
    for n in range(len(found.tiles) + 1):
        choice = found.after(n)
        within = lost[spent <= PRICES[choice].sum()].min()
        assert errors[np.arange(len(errors)), choice].sum() <= within + 1e-6


@settings(max_examples=80, deadline=None)
@given(logits=LOGITS, share=st.floats(0, 1.2))
def test_one_k_for_all_keeps_the_budget_and_the_next_step_would_not(logits, share):
    budget = share * PRICES[-1] * len(logits)
    k = cost_weight_within(budget, logits, DEARNESS, PRICES)
    spent = PRICES[chosen(logits, DEARNESS, k)].sum()
    dearer = [PRICES[chosen(logits, DEARNESS, other)].sum() for other in steps(logits, DEARNESS).k - 1e-6]
    assert spent <= max(budget, PRICES[0] * len(logits))
    assert not any(spent < cost <= budget for cost in dearer)


def test_one_way_alone_leaves_nothing_to_solve():
    assert cost_weight_within(1.0, np.zeros((4, 1)), np.zeros(1), np.array([7])) == 0
