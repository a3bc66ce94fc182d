"""Errors of plugins' networks name branch and backbone, before a run writes anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest
import tiny
from torch import nn

from lowvision.errors import RecipeError
from lowvision.pipeline import network_issues, preflight
from lowvision.plugins.contracts import Backbone, Classifier, Task
from lowvision.plugins.entry_points import Plugin, installed
from lowvision.plugins.hookspecs import hookimpl
from lowvision.plugins.registry import Registry
from lowvision.recipe import reading
from lowvision.recipe.models import Recipe


class Faulty(Backbone):
    """A network with the given fault."""

    fault: Literal["odd", "nothing", "type", "mismatch"]

    def build(self, task: Task) -> nn.Module:
        if self.fault == "odd":
            raise ValueError("channels must be even, not 7")
        if self.fault == "type":
            raise TypeError("no\ninteger")
        if self.fault == "nothing":
            return None  # type: ignore[return-value]  # the fault
        return nn.Sequential(nn.Conv2d(task.channels, 4, 3, padding=1), nn.Conv2d(8, 12, 3, padding=1))

    def reach(self, task: Task) -> int:
        return 2


class NoTask(Faulty):
    """A network whose build takes no task."""

    fault: Literal["odd"] = "odd"

    def build(self) -> nn.Module:  # type: ignore[override]  # the fault
        return nn.Identity()


class Empty(Classifier):
    """A classifier that builds nothing."""

    def build(self, task: Task, classes: int) -> nn.Module:
        return None  # type: ignore[return-value]  # the fault


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"faulty": Faulty, "no_task": NoTask}


@hookimpl
def lowvision_classifiers() -> Mapping[str, type[Classifier]]:
    return {"empty": Empty}


REGISTRY = Registry([*installed(), Plugin(__name__, "faulty-networks", "1.0")])
SINGLE = ("reduce=null", "classifier=null", "stages={base: {steps: 1}}")


def recipe(folder: Path, *overrides: str) -> Recipe:
    return reading.read(tiny.write_recipe(folder), REGISTRY, overrides)


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("{faulty: {fault: odd}}", "backbone 'faulty' cannot be built: channels must be even, not 7"),
        ("{faulty: {fault: nothing}}", "backbone 'faulty' cannot be built: its build returns a NoneType; return a "),
        ("{faulty: {fault: type}}", "backbone 'faulty' cannot be built: TypeError: no integer; --debug prints the "),
        ("no_task", "backbone 'no_task' cannot be built: TypeError: NoTask.build() takes 1 positional argument"),
        ("{faulty: {fault: mismatch}}", "a tile of 16 does not pass through backbone 'faulty': RuntimeError: "),
    ],
)
def test_an_error_of_a_network_names_branch_and_backbone(backbone: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        preflight.check(recipe(tmp_path, f"backbone={backbone}", *SINGLE), REGISTRY)
    assert str(caught.value).startswith(f"branches.0: {message}")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, Exception)  # --debug prints it


def test_a_classifier_that_is_no_module_is_named(tmp_path: Path) -> None:
    (issue,) = network_issues.find(recipe(tmp_path, "classifier=empty", "stages={base: {steps: 1}}"), REGISTRY)
    assert issue.text == (
        "classifier: classifier 'empty' cannot be built: its build returns a NoneType; return a torch.nn.Module"
    )


def test_a_classifier_that_costs_more_than_a_fifth_of_the_base_is_reported(tmp_path: Path) -> None:
    small = recipe(tmp_path / "small")
    warning = network_issues.costly_classifier(small)
    assert warning is not None
    assert warning.startswith("classifier: costs ")
    assert "of the base's" in warning
    large = recipe(tmp_path / "large", "backbone={fsrcnn: {channels: 56}}", "reduce={channels: [16, 36, 56]}")
    assert network_issues.costly_classifier(large) is None
    assert network_issues.costly_classifier(recipe(tmp_path / "single", *SINGLE)) is None
