"""Claims about the training of losses alongside a network."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import judge
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from lowvision.errors import RecipeError
from lowvision.training import critics
from lowvision.training.loss_sum import LossSum, Term, l1
from lowvision.training.options import Fit

PLAIN_SGD = {"sgd": {"momentum": 0.0, "nesterov": False}}
OPTIONS = Fit(steps=10, lr=0.1, min_lr=0.1, optimizer=PLAIN_SGD, schedule="constant")


class Judge(judge.Judge):
    """A critic of one weight, whose objective has the gradient `mean(restored)`."""

    def objective(self, restored: Tensor, gt: Tensor) -> Tensor:
        return self.weight * restored.mean()


@pytest.fixture
def accelerator() -> Accelerator:
    return Accelerator(cpu=True)


def judged(accelerator: Accelerator, **changes: Any) -> tuple[Judge, LossSum, tuple[critics.Training, ...]]:
    judge = Judge()
    losses = LossSum([Term("judge", 1.0, judge, changes)])
    return judge, losses, critics.prepare(losses, OPTIONS, accelerator)


def seen(losses: LossSum, level: float) -> None:
    losses(torch.full((1, 3, 2, 2), level, requires_grad=True), torch.zeros(1, 3, 2, 2))


def test_the_images_of_all_micro_batches_give_one_update_by_their_mean(accelerator: Accelerator) -> None:
    judge, losses, trained = judged(accelerator)
    for level in (1.0, 3.0):
        seen(losses, level)
    reported = critics.update(trained, losses, 1, accelerator)
    assert judge.weight.item() == pytest.approx(1 - 0.1 * 2)
    assert {name: value.item() for name, value in reported.items()} == {"critic/judge": pytest.approx(2.0)}


def test_images_train_a_critic_once(accelerator: Accelerator) -> None:
    judge, losses, trained = judged(accelerator)
    seen(losses, 1.0)
    critics.update(trained, losses, 1, accelerator)
    after = judge.weight.item()
    critics.update(trained, losses, 2, accelerator)
    assert judge.weight.item() == after


def test_a_critic_is_constant_outside_its_own_training(accelerator: Accelerator) -> None:
    judge, _, trained = judged(accelerator)
    assert not judge.weight.requires_grad
    with suppress(ZeroDivisionError), trained[0].unfrozen():
        assert judge.weight.requires_grad
        raise ZeroDivisionError
    assert not judge.weight.requires_grad


def test_gradients_are_clipped_by_the_options_of_the_critic(accelerator: Accelerator) -> None:
    judge, losses, trained = judged(accelerator, clip=0.5)
    seen(losses, 4.0)
    critics.update(trained, losses, 1, accelerator)
    assert judge.weight.item() == pytest.approx(1 - 0.1 * 0.5)


def test_losses_without_critics_are_not_trained(accelerator: Accelerator) -> None:
    assert critics.prepare(l1(), OPTIONS, accelerator) == critics.prepare(None, OPTIONS, accelerator) == ()
    assert critics.update((), l1(), 1, accelerator) == critics.update((), None, 1, accelerator) == {}


def test_invalid_options_name_the_loss_and_the_option() -> None:
    assert critics.options_of("gan", OPTIONS, {"lr": 0.5}).lr == 0.5
    for changes, message in (
        ({"lr": -1}, r"^loss: gan: lr .*0"),
        ({"warmup": 10}, "^loss: gan: warmup 10 must be less"),
    ):
        with pytest.raises(RecipeError, match=message):
            critics.options_of("gan", OPTIONS, changes)
