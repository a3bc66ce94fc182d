"""A plugin of small components, without torch, for the tests of recipes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import Field, model_validator

from lowvision.errors import RecipeError
from lowvision.plugins.contracts import Backbone, Classifier, Dataset, Photo, Reducer, Skip, Task
from lowvision.plugins.entry_points import CORE, Plugin
from lowvision.plugins.hookspecs import hookimpl
from lowvision.plugins.registry import Registry
from lowvision.recipe import reading
from lowvision.recipe.models import Recipe

NEVER = "recipes name it, and no test trains it"


class Enlarge(Task):
    """Enlarges images."""

    scale: int = Field(default=4, ge=1)

    def degrade(self, gt: Any, generator: Any) -> Any:
        raise NotImplementedError(NEVER)

    def baseline(self, lq: Any) -> Any:
        raise NotImplementedError(NEVER)


class Net(Backbone):
    """A network with two options."""

    scales: ClassVar[tuple[int, ...] | None] = (2, 3, 4)

    channels: int = Field(default=64, ge=1)
    """Width."""
    layers: int = Field(default=16, ge=1)
    """Depth."""
    groups: int = Field(default=4, ge=1)
    """Groups of channels."""
    skip: Skip = "none"
    """Interpolation that is added to the output."""

    @model_validator(mode="after")
    def _channels_divide(self) -> Net:
        if self.channels % self.groups:
            raise ValueError(f"channels {self.channels} must be a multiple of groups {self.groups}")
        return self

    def build(self, task: Task) -> Any:
        raise NotImplementedError(NEVER)

    def reach(self, task: Task) -> int | None:
        return None


class Halves(Net):
    """Another network, for even tiles only."""

    multiple_of: ClassVar[int] = 16


class Gauge(Classifier):
    """A classifier of tiles."""

    width: int = 8
    """Channels inside."""
    at: float | tuple[float, float] = 0.5
    """A threshold, or two."""

    def build(self, task: Task, classes: int) -> Any:
        raise NotImplementedError(NEVER)


class Channels(Reducer):
    """Reduces channels."""

    least: int = 1
    """The fewest that are allowed."""

    def reduce(self, backbone: Backbone, level: int | float | str) -> Backbone:
        if isinstance(level, int) and level < self.least:
            raise ValueError(f"is less than {self.least} channels")
        return backbone.replace(channels=level)


class Layers(Reducer):
    """Reduces layers."""

    def reduce(self, backbone: Backbone, level: int | float | str) -> Backbone:
        return backbone.replace(layers=level)


class Meadow(Dataset):
    """Photographs of a meadow."""

    def photos(self) -> tuple[Photo, ...]:
        return (Photo("meadow", Path("meadow.png")),)


@hookimpl
def lowvision_tasks() -> Mapping[str, type[Task]]:
    return {"enlarge": Enlarge}


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"net": Net, "halves": Halves}


@hookimpl
def lowvision_classifiers() -> Mapping[str, type[Classifier]]:
    return {"gauge": Gauge}


@hookimpl
def lowvision_reducers() -> Mapping[str, type[Reducer]]:
    return {"channels": Channels, "layers": Layers}


@hookimpl
def lowvision_datasets() -> Mapping[str, type[Dataset]]:
    return {"meadow": Meadow}


def registry() -> Registry:
    return Registry(
        [
            Plugin(__name__, "lowvision-toys", "1.0"),
            *(Plugin(module, "lowvision-framework", "") for module in CORE),
        ]
    )


RECIPE = """\
task: enlarge
backbone: net
reduce: {channels: [36, 52, 64]}
classifier: gauge
data: {train: meadow, valid: meadow, test: meadow}
stages:
  base: {steps: 3000, lr: 1e-3}
  rank:
  branches: {steps: 1000}
  classifier: {steps: 150, batch: 48}
  joint:
"""
"""A valid recipe."""


def read(folder: Path, text: str, *overrides: str, **others: str) -> Recipe:
    """Write `text` to `folder`/r.yml, next to other files, and read the recipe."""
    for name, content in {"r": text, **others}.items():
        (folder / f"{name}.yml").write_text(content)
    return reading.read(folder / "r.yml", registry(), overrides)


def complaints(folder: Path, text: str, *overrides: str, **others: str) -> list[str]:
    """Return the errors of a recipe, without the folder name."""
    with pytest.raises(RecipeError) as caught:
        read(folder, text, *overrides, **others)
    return str(caught.value).replace(f"{folder}{os.sep}", "").splitlines()
