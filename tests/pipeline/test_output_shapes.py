"""Wrong output shapes of plugins are reported before a run writes anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import tiny
from torch import Generator, Tensor, nn

from lowvision.errors import RecipeError
from lowvision.pipeline import output_shapes, preflight
from lowvision.pipeline.run import run
from lowvision.plugins.contracts import Backbone, Classifier, Task
from lowvision.plugins.entry_points import Plugin, installed
from lowvision.plugins.hookspecs import hookimpl
from lowvision.plugins.registry import Registry
from lowvision.recipe import reading


class SameSize(Backbone):
    """A network that returns the size of its input at any scale."""

    def build(self, task: Task) -> nn.Module:
        return nn.Conv2d(task.channels, task.channels, 3, padding=1)

    def reach(self, task: Task) -> int:
        return 1


class TwoOutputs(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.layer = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, lq: Tensor) -> Any:
        return self.layer(lq), self.layer(lq)


class Pair(SameSize):
    """A network that returns a tuple."""

    def build(self, task: Task) -> nn.Module:
        return TwoOutputs(task.channels)


class OneScore(Classifier):
    """A classifier that gives one score for any number of classes."""

    def build(self, task: Task, classes: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(task.channels, 1, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Crop(Task):
    """A task whose degraded images are too small."""

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        return gt[:, 1:, 1:]

    def baseline(self, lq: Tensor) -> Tensor:
        raise OverflowError("no\nway")


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"same_size": SameSize, "pair": Pair}


@hookimpl
def lowvision_classifiers() -> Mapping[str, type[Classifier]]:
    return {"one_score": OneScore}


REGISTRY = Registry([*installed(), Plugin(__name__, "wrong-shapes", "1.0")])
SINGLE = ("reduce=null", "classifier=null", "stages={base: {steps: 1}}")


def complaint(folder: Path, *overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        preflight.check(reading.read(tiny.write_recipe(folder), REGISTRY, overrides), REGISTRY)
    return str(caught.value)


def test_a_wrong_output_size_is_reported_with_both_shapes(tmp_path: Path) -> None:
    assert complaint(tmp_path, "backbone=same_size", *SINGLE) == (
        "branches.0: returns (2, 3, 16, 16) for (2, 3, 16, 16); its plugin must return (2, 3, 32, 32) at the scale and "
        "channels of the task"
    )


def test_a_network_that_returns_a_tuple_is_reported(tmp_path: Path) -> None:
    assert "branches.0: returns a tuple" in complaint(tmp_path, "backbone=pair", *SINGLE)


def test_a_wrong_number_of_scores_is_reported(tmp_path: Path) -> None:
    message = complaint(tmp_path, "classifier=one_score", "stages={base: {steps: 1}}")
    assert message.startswith("classifier: returns (2, 1) for (2, 3, 16, 16); its plugin must return (2, 3)")


def test_a_task_that_fails_or_returns_a_wrong_size_is_reported() -> None:
    first, second = output_shapes.of_task(Crop(), 16)
    assert first.startswith("task.degrade: returns (3, 15, 15) for (3, 16, 16); its plugin must return (3, 16, 16)")
    assert second == "task: a tile of 16 cannot be degraded: OverflowError: no way"


def test_a_run_with_an_invalid_network_writes_nothing(tmp_path: Path) -> None:
    recipe = tiny.write_recipe(tmp_path)
    parsed = reading.read(recipe, REGISTRY, ("backbone=same_size", *SINGLE))
    with pytest.raises(RecipeError, match=r"branches\.0: returns"):
        run(parsed, REGISTRY, recipe, tmp_path / "run", False, "cpu")
    assert not (tmp_path / "run").exists()
