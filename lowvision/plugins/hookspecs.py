"""The menus: what lowvision asks every plugin for, one hook a menu.

A hook takes no arguments and returns a mapping from a name to a class that fulfils the menu's contract.
"""

from __future__ import annotations

from collections.abc import Mapping

import pluggy

from lowvision.config.options import Options
from lowvision.plugins.contracts import Backbone, Classifier, Dataset, Format, Reducer, Runtime, Task, Weights

PROJECT = "lowvision"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

KINDS: Mapping[str, type[Options]] = {
    "tasks": Task,
    "backbones": Backbone,
    "reducers": Reducer,
    "classifiers": Classifier,
    "datasets": Dataset,
    "weights": Weights,
    "runtimes": Runtime,
    "formats": Format,
}
"""Each menu and the contract of what stands on it; the hook of a menu is `lowvision_<menu>`."""


@hookspec
def lowvision_tasks() -> Mapping[str, type[Task]]:  # type: ignore[empty-body]  # a hook specification has no body
    """Degradations that a recipe can name under `task`."""


@hookspec
def lowvision_backbones() -> Mapping[str, type[Backbone]]:  # type: ignore[empty-body]  # as above
    """Networks that a recipe can name under `backbone` and `branches`."""


@hookspec
def lowvision_reducers() -> Mapping[str, type[Reducer]]:  # type: ignore[empty-body]  # as above
    """Ways to make a backbone smaller that a recipe can name under `reduce`."""


@hookspec
def lowvision_classifiers() -> Mapping[str, type[Classifier]]:  # type: ignore[empty-body]  # as above
    """Networks that a recipe can name under `classifier`."""


@hookspec
def lowvision_datasets() -> Mapping[str, type[Dataset]]:  # type: ignore[empty-body]  # as above
    """Sets of photographs that a recipe can name under `data`."""


@hookspec
def lowvision_weights() -> Mapping[str, type[Weights]]:  # type: ignore[empty-body]  # as above
    """Weights files that commands take by name, as `restore -m NAME`."""


@hookspec
def lowvision_runtimes() -> Mapping[str, type[Runtime]]:  # type: ignore[empty-body]  # as above
    """What can run a trained network."""


@hookspec
def lowvision_formats() -> Mapping[str, type[Format]]:  # type: ignore[empty-body]  # as above
    """Layouts of weights files of other programs."""
