"""Claims about the collapse of a classifier onto one branch."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowvision.errors import TrainingError
from lowvision.training import collapse

COLLAPSED: dict[str, Any] = {"chosen": [0.01, 0.99], "entropy": 0.1}


def test_a_collapse_keeps_the_step_at_which_it_began() -> None:
    began = collapse.since(COLLAPSED, 40, None)
    assert began == 40
    assert collapse.since(COLLAPSED, 80, began) == 40
    assert collapse.since({"chosen": [0.5, 0.5], "entropy": 0.1}, 80, began) is None


@pytest.mark.parametrize(
    "metrics",
    [
        {},
        {"chosen": [1.0], "entropy": 0.0},
        {"chosen": [0.01, 0.99]},
        {"chosen": [0.01, 0.99], "entropy": math.log(2)},
        {"chosen": [0.06, 0.94], "entropy": 0.1},
    ],
    ids=["no routing", "one branch", "no entropy", "still undecided", "one of twenty tiles goes elsewhere"],
)
def test_these_metrics_are_no_collapse(metrics: dict[str, Any]) -> None:
    assert collapse.since(metrics, 40, None) is None


@given(began=st.integers(0, 1000), lasted=st.integers(0, 500), steps=st.integers(1, 1000))
def test_a_collapse_ends_a_stage_after_200_steps_or_half_of_it(began: int, lasted: int, steps: int) -> None:
    ends = lasted >= 200 or lasted >= max(1, steps // 2)
    try:
        collapse.stop_if_lasting("joint", began + lasted, began, steps)
        ended = False
    except TrainingError:
        ended = True
    assert ended == ends


def test_the_error_names_stage_and_step_and_what_to_change() -> None:
    with pytest.raises(TrainingError, match=r"^joint: .* since step 10 one branch .*; check that .* lower lr"):
        collapse.stop_if_lasting("joint", 300, 10, 1000)
    collapse.stop_if_lasting("joint", 300, None, 1000)
