"""The argument `--students`: networks as in a recipe, and trained weights that students start from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lowvision.commands.accelerate.students import TrainedWeights
from lowvision.commands.component_argument import parse_component
from lowvision.config.validation import did_you_mean
from lowvision.errors import UsageError, WeightsError
from lowvision.models import pretrained, weights
from lowvision.plugins.contracts import Backbone, Task
from lowvision.plugins.registry import Registry

PLACE = "--students"


@dataclass(frozen=True)
class RequestedStudents:
    """The students that a user names."""

    networks: tuple[Backbone, ...] = ()
    trained: tuple[TrainedWeights, ...] = ()
    """Weights that hold some of the networks."""


def parse(texts: Sequence[str], task: Task, registry: Registry) -> RequestedStudents:
    """Return the students that the texts name; weights of a container name all its branches.

    Raises UsageError for a text that names nothing, and WeightsError for weights of another scale or number of
    channels than the task.
    """
    networks: list[Backbone] = []
    trained: list[TrainedWeights] = []
    for text in texts:
        if _is_weights(text, registry):
            trained.append(_weights(text, task, registry))
            networks += trained[-1].networks
        else:
            networks.append(parse_component("backbones", text, PLACE, registry))
    return RequestedStudents(tuple(networks), tuple(trained))


def _is_weights(text: str, registry: Registry) -> bool:
    """Return True for a file and a name of shipped weights, False for a network. Raises UsageError for other words."""
    backbones = registry["backbones"]
    if text in backbones or "{" in text:
        return False
    if text in registry["weights"] or os.path.exists(text):
        return True
    hint = did_you_mean(text, [*backbones, *registry["weights"]]) or "give a path, or a name from `lowvision ls`"
    raise UsageError(f"{PLACE} {text}: no such file, network or shipped weights; {hint}")


def _weights(name: str, task: Task, registry: Registry) -> TrainedWeights:
    path = pretrained.find(Path(name), registry)
    try:
        architecture = weights.check(path, registry).architecture
    except WeightsError as error:
        raise WeightsError(f"{PLACE}: {error}") from None
    weights.check_task(path, task, PLACE, registry)
    return TrainedWeights(name, architecture.branches)
