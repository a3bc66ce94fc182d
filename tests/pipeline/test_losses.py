"""Claims about the losses of a stage as it builds them, and the issues that are found before a run."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from judge import Judge
from torch import nn

from lowvision.errors import RecipeError
from lowvision.pipeline import losses
from lowvision.plugins.contracts import Task
from lowvision.plugins.entry_points import Plugin, installed
from lowvision.plugins.hookspecs import hookimpl
from lowvision.plugins.l1_loss import L1
from lowvision.plugins.losses import Loss
from lowvision.plugins.registry import Registry
from lowvision.testing import PlainTask
from lowvision.training.options import Fit


class Judged(Loss):
    """A loss that is trained itself."""

    lr: float = 1e-4
    """Its learning rate."""

    def build(self, task: Task) -> nn.Module:
        return Judge()

    def fit_options(self) -> dict[str, Any]:
        return {"lr": self.lr}


class Absent(Loss):
    """A loss whose file is missing."""

    def build(self, task: Task) -> nn.Module:
        raise FileNotFoundError("vgg.safetensors")


@hookimpl
def lowvision_losses() -> dict[str, type[Loss]]:
    return {"judged": Judged, "absent": Absent}


KNOWN = Registry([*installed(), Plugin(__name__, "losses", "1.0")])
CPU = torch.device("cpu")


def issues(*chosen: Loss, **options: Any) -> list[str]:
    return list(losses.issues("base", Fit(loss=chosen, **options), PlainTask(), KNOWN))


def test_equal_losses_get_numbers_and_keep_their_weights() -> None:
    total = losses.build([L1(), L1(weight=0.5), Judged()], PlainTask(), KNOWN, CPU)
    assert [(term.name, term.weight) for term in total.terms] == [("l1", 1.0), ("l1_2", 0.5), ("judged", 1.0)]
    assert total.terms[2].fit_options == {"lr": 1e-4}


def test_valid_losses_have_no_issues() -> None:
    assert issues(L1()) == issues(L1(), Judged()) == []


def test_a_loss_that_cannot_be_built_names_its_reason() -> None:
    with pytest.raises(RecipeError, match=r"^loss: absent cannot be built \(FileNotFoundError: vgg\.safetensors\)$"):
        losses.build([Absent()], PlainTask(), KNOWN, CPU)
    assert issues(L1(), Absent()) == ["stages.base.loss: absent cannot be built (FileNotFoundError: vgg.safetensors)"]


def test_critics_alone_do_not_compare_images() -> None:
    assert issues(Judged()) == ["stages.base.loss: has no loss between images; add one, e.g. l1, to the list"]


def test_wrong_options_of_a_critic_are_found_before_the_run() -> None:
    (issue,) = issues(L1(), Judged(lr=-1.0))
    assert issue.startswith("stages.base.loss: judged: lr ")
