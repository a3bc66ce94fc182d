"""The kinds of components that plugins provide, one hook per kind.

A hook takes no arguments and returns a mapping from names to classes that implement the contract of the kind.
"""

from __future__ import annotations

from collections.abc import Mapping

import pluggy

from lowvision.config.options import Options
from lowvision.plugins.contracts import Backbone, Classifier, Dataset, Format, Reducer, Runtime, Task, Weights
from lowvision.plugins.losses import Loss
from lowvision.plugins.metrics import Metric
from lowvision.plugins.observers import ObserverOptions
from lowvision.plugins.stages import Stage

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
    "losses": Loss,
    "metrics": Metric,
    "stages": Stage,
    "observers": ObserverOptions,
}
"""The kinds and their contracts; the hook of a kind is `lowvision_<kind>`."""


@hookspec
def lowvision_tasks() -> Mapping[str, type[Task]]:  # type: ignore[empty-body]  # a hook specification has no body
    """Degradations, for `task` in recipes."""


@hookspec
def lowvision_backbones() -> Mapping[str, type[Backbone]]:  # type: ignore[empty-body]  # as above
    """Restoration networks, for `backbone` and `branches` in recipes."""


@hookspec
def lowvision_reducers() -> Mapping[str, type[Reducer]]:  # type: ignore[empty-body]  # as above
    """Functions from a backbone to a smaller one, for `reduce` in recipes."""


@hookspec
def lowvision_classifiers() -> Mapping[str, type[Classifier]]:  # type: ignore[empty-body]  # as above
    """Networks that predict the difficulty of tiles, for `classifier` in recipes."""


@hookspec
def lowvision_datasets() -> Mapping[str, type[Dataset]]:  # type: ignore[empty-body]  # as above
    """Sets of photographs, for `data` in recipes."""


@hookspec
def lowvision_weights() -> Mapping[str, type[Weights]]:  # type: ignore[empty-body]  # as above
    """Weights files that commands accept by name, e.g. `restore -m NAME`."""


@hookspec
def lowvision_runtimes() -> Mapping[str, type[Runtime]]:  # type: ignore[empty-body]  # as above
    """Inference engines for trained networks."""


@hookspec
def lowvision_formats() -> Mapping[str, type[Format]]:  # type: ignore[empty-body]  # as above
    """Layouts of other programs' weights files."""


@hookspec
def lowvision_losses() -> Mapping[str, type[Loss]]:  # type: ignore[empty-body]  # as above
    """Training losses, for `loss` of the stages in recipes."""


@hookspec
def lowvision_metrics() -> Mapping[str, type[Metric]]:  # type: ignore[empty-body]  # as above
    """Measures of restored images, for `evaluate.metrics` and `keep` in recipes."""


@hookspec
def lowvision_stages() -> Mapping[str, type[Stage]]:  # type: ignore[empty-body]  # as above
    """Steps of a run, for `stages` in recipes."""


@hookspec
def lowvision_observers() -> Mapping[str, type[ObserverOptions]]:  # type: ignore[empty-body]  # as above
    """Observers of runs, for `observers` in recipes."""
