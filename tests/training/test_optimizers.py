"""Optimizers accept any argument, and each schedule gives the learning rate of its formula."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from lowvision.errors import RecipeError
from lowvision.training.optimizers import make_optimizer, make_schedule
from lowvision.training.options import Fit


def optimizer(**options: object) -> torch.optim.Optimizer:
    return make_optimizer([nn.Parameter(torch.ones(3))], Fit(**options))  # type: ignore[arg-type]


def rates(**options: object) -> list[float]:
    """Return the learning rate of every step."""
    fit = Fit(**options)  # type: ignore[arg-type]
    built_optimizer = make_optimizer([nn.Parameter(torch.ones(1))], fit)
    schedule, learning_rates = make_schedule(built_optimizer, fit), []
    for step in range(fit.steps):
        schedule(step)
        learning_rates.append(built_optimizer.param_groups[0]["lr"])
    return learning_rates


@pytest.mark.parametrize("name", ["adam", "adamw", "adan", "lion", "sgd", "rmsprop", "lamb", "nadam"])
def test_every_timm_optimizer_updates_weights_with_default_options(name: str) -> None:
    weight = nn.Parameter(torch.ones(3))
    built_optimizer = make_optimizer([weight], Fit(optimizer=name, lr=0.1))
    weight.sum().backward()
    built_optimizer.step()
    assert (weight < 1).all()


def test_betas_apply_only_to_optimizers_with_two_betas() -> None:
    assert optimizer(optimizer="adam").param_groups[0]["betas"] == (0.9, 0.99)
    assert optimizer(optimizer="adan").param_groups[0]["betas"] == (0.98, 0.92, 0.99)


def test_arguments_reach_the_optimizer() -> None:
    (group,) = optimizer(optimizer={"adan": {"betas": [0.9, 0.8, 0.7], "eps": 0.5}}).param_groups
    assert (group["betas"], group["eps"], group["lr"]) == ((0.9, 0.8, 0.7), 0.5, 2e-4)
    assert optimizer(optimizer={"adamw": {"weight_decay": 0.3}}).param_groups[0]["weight_decay"] == 0.3
    assert optimizer(optimizer={"adam": None}).param_groups[0]["betas"] == (0.9, 0.99)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"optimizer": "adan", "betas": (0.9, 0.99)}, "'adan' cannot be created .*needs 3 betas, not 2"),
        ({"optimizer": {"adam": {"betas": [0.9, 0.9, 0.9]}}}, "'adam' cannot be created .*needs 2 betas, not 3"),
        ({"optimizer": {"adam": {"colour": 3}}}, "'adam' cannot be created .*colour"),
        ({"optimizer": "no_such"}, "'no_such' cannot be created"),
    ],
)
def test_rejected_optimizer_arguments_are_an_error_before_the_first_step(
    options: dict[str, object], reason: str
) -> None:
    with pytest.raises(RecipeError, match=reason):
        optimizer(**options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"optimizer": {"adam": {}, "sgd": {}}}, "one name, or one name with its arguments, not 2"),
        ({"optimizer": {"adam": {"lr": 1}}}, "lr is an option of the stage"),
        ({"schedule": "one_cycle", "warmup": 5}, "one_cycle has its own warm-up"),
        ({"schedule": "multistep", "milestones": (1.5,)}, "less than 1"),
    ],
)
def test_contradictory_options_are_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Fit(**options)  # type: ignore[arg-type]


def test_cosine_falls_to_min_lr_and_constant_stays() -> None:
    cosine = rates(steps=10, lr=1.0, min_lr=0.1)
    assert cosine == pytest.approx([0.1 + 0.45 * (1 + math.cos(math.pi * step / 10)) for step in range(10)])
    assert rates(steps=10, lr=1.0, schedule="constant") == [1.0] * 10


def test_multistep_multiplies_after_each_milestone() -> None:
    learning_rates = rates(steps=10, lr=1.0, schedule="multistep", milestones=(0.3, 0.8), gamma=0.1)
    assert learning_rates == pytest.approx([1.0] * 3 + [0.1] * 5 + [0.01] * 2)


def test_restarts_repeat_one_cosine() -> None:
    learning_rates = rates(steps=12, lr=1.0, min_lr=0.0, schedule="restarts", cycles=3)
    assert learning_rates == pytest.approx(learning_rates[:4] * 3)
    assert learning_rates[:4] == pytest.approx([(1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)])


def test_one_cycle_rises_to_the_peak_and_falls_to_the_end() -> None:
    learning_rates = rates(steps=11, lr=1.0, min_lr=0.01, schedule="one_cycle", peak_at=0.4)
    assert (learning_rates[0], learning_rates[4], learning_rates[10]) == pytest.approx((1 / 25, 1.0, 0.01))
    assert learning_rates[:5] == sorted(learning_rates[:5])
    assert learning_rates[4:] == sorted(learning_rates[4:], reverse=True)


@given(
    schedule=st.sampled_from(["cosine", "constant", "multistep", "restarts", "one_cycle"]),
    steps=st.integers(2, 40),
    warmup=st.integers(0, 5),
)
def test_every_schedule_stays_between_zero_and_the_peak(schedule: str, steps: int, warmup: int) -> None:
    warmup = 0 if schedule == "one_cycle" else min(warmup, steps - 1)
    learning_rates = rates(steps=steps, lr=0.5, schedule=schedule, warmup=warmup)
    assert all(0 < rate <= 0.5 + 1e-9 for rate in learning_rates)
