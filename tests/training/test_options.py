"""Claims about the options of stages that train: which values contradict each other, and what they mean."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lowvision.training.options import Fit, RoutedFit


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"warmup": 100, "steps": 100}, "warmup 100 must be less than steps 100"),
        ({"batch": 16, "micro_batch": 5}, "batch 16 must be a multiple of micro_batch 5"),
        ({"schedule": "one_cycle", "warmup": 1}, "one_cycle has its own warm-up; omit warmup, or set peak_at"),
        ({"optimizer": {"adam": {}, "sgd": {}}}, "must be one name, or one name with its arguments, not 2 names"),
        ({"optimizer": {}}, "not 0 names"),
        ({"optimizer": {"adam": {"lr": 1.0}}}, "lr is an option of the stage, not an argument of the optimizer"),
    ],
)
def test_contradictory_options_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Fit(**values)


@pytest.mark.parametrize(
    ("value", "name", "arguments"),
    [
        ("lion", "lion", {}),
        ({"lion": None}, "lion", {}),
        ({"adamp": {"betas": [0.9, 0.5], "eps": 1e-6}}, "adamp", {"betas": (0.9, 0.5), "eps": 1e-6}),
    ],
)
def test_an_optimizer_is_a_name_or_a_name_with_arguments(value: Any, name: str, arguments: dict[str, Any]) -> None:
    options = Fit(optimizer=value)
    assert (options.optimizer_name, options.optimizer_arguments) == (name, arguments)


def test_a_metric_that_selects_keeps_the_best_weights() -> None:
    assert (Fit().kept, Fit().selecting_metric) == ("last", None)
    assert (Fit(keep="best").kept, Fit(keep="best").selecting_metric) == ("best", None)
    from lowvision.plugins import registry

    options = Fit.model_validate({"keep": {"best": "ssim"}}, context=registry.load())
    assert options.kept == "best"
    assert type(options.selecting_metric).__name__ == "SSIM"


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=5))
def test_shares_are_accepted_exactly_if_they_sum_to_one(parts: list[float]) -> None:
    normalised = tuple(part / sum(parts) for part in parts)
    assert RoutedFit(shares=normalised).shares == normalised
    with pytest.raises(ValidationError, match="they must sum to 1"):
        RoutedFit(shares=(*normalised, 0.01))
