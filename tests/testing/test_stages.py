"""Claims about check_stage: it accepts a correct stage, and reports each kind of error with a way out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import torch

from lowvision import ImageLoss, Stage, Trainable, TrainingStage
from lowvision.testing import check_stage

FAULTS = {
    "crash": "run raises KeyError in a small recipe: 'edges'",
    "unlisted file": "writes component_under_test/notes.txt, which --restart would keep; get the path of every file",
    "no weights": "`trains` is 'base', but its weights are not usable",
    "random": "two runs differ in numbers.npz; derive all randomness from context.recipe.seed",
}


class Faulty(Stage):
    """Writes files, with the given fault."""

    place: ClassVar[float] = 5

    fault: str = ""
    """The fault."""

    def run(self, context: Any) -> None:
        import numpy as np

        context.file("right.txt").write_text("right")
        numbers = np.array([context.recipe.seed])
        match self.fault:
            case "crash":
                raise KeyError("edges")
            case "unlisted file":
                (context.stage_folder / "notes.txt").write_text("not listed")
            case "random":
                numbers = np.array([random.SystemRandom().random()])
        with context.file("numbers.npz").open("wb") as file:
            np.savez(file, numbers=numbers)


class Weightless(Faulty):
    """Declares weights that it does not write."""

    trains: ClassVar[Trainable | None] = "base"


class Refine(TrainingStage):
    """Train the base further."""

    place: ClassVar[float] = 15
    trains: ClassVar[Trainable | None] = "base"

    def run(self, context: Any) -> None:
        context.train(context.base(), self)


class UnseededStage(TrainingStage):
    """Trains from other weights in every run."""

    place: ClassVar[float] = 5
    trains: ClassVar[Trainable | None] = "base"

    def run(self, context: Any) -> None:
        network = context.base()
        for parameter in network.parameters():
            torch.nn.init.constant_(parameter, random.SystemRandom().random())
        context.train(network, self)


class OwnLossAlone(TrainingStage):
    """Trains by its own loss and ignores the loss of the recipe."""

    place: ClassVar[float] = 5
    trains: ClassVar[Trainable | None] = "base"

    def run(self, context: Any) -> None:
        class Objective(torch.nn.Module):
            def __init__(self, network: torch.nn.Module, image_loss: ImageLoss):
                super().__init__()
                self.network = network

            def forward(self, lq: torch.Tensor, gt: torch.Tensor, progress: float) -> dict[str, torch.Tensor]:
                return {"own": (self.network(lq) - gt).square().mean()}

        context.train(context.base(), self, objective=Objective)


class Presuming(Refine):
    """Presumes a stage that recipes need not have."""

    def issues(self, recipe: Any) -> Iterator[tuple[str, str]]:
        if recipe.stages["base"].steps < self.steps:
            yield "steps", "must not exceed those of base"


class InvalidPlace(Refine):
    """A stage whose place is not a number."""

    place: ClassVar[Any] = "after base"


class Unknown(Refine):
    """A stage that needs an unknown data set."""

    needs: ClassVar[tuple[str, ...]] = ("training",)


def test_valid_stages_pass() -> None:
    check_stage(Faulty())
    check_stage(Refine(), recipe={"stages": {}})


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_reported_with_a_remedy(fault: str) -> None:
    stage = Weightless() if fault == "no weights" else Faulty(fault=fault)
    with pytest.raises(AssertionError) as caught:
        check_stage(stage)
    assert FAULTS[fault] in str(caught.value)


def test_two_different_trainings_are_reported() -> None:
    with pytest.raises(AssertionError, match=r"two runs differ in (best|last)\.safetensors; derive all randomness"):
        check_stage(UnseededStage())


def test_a_stage_that_ignores_the_losses_of_the_recipe_is_reported() -> None:
    with pytest.raises(AssertionError, match=r"its option `loss` has no effect; compute .* by image_loss"):
        check_stage(OwnLossAlone())


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (InvalidPlace(), "InvalidPlace: place is 'after base'; give a number"),
        (Presuming(), "issues fails for a recipe without other stages .*KeyError: 'base'.* None as recipe.stages.NAME"),
        (Unknown(), "Unknown: needs 'training'; the data sets are train, valid, test"),
    ],
)
def test_wrong_class_variables_and_checks_are_reported(stage: Stage, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_stage(stage)
