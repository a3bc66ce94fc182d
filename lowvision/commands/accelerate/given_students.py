"""Read the students that a user names: networks as in a recipe, and trained weights to start from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lowvision.commands.accelerate.students import TrainedWeights
from lowvision.commands.component_argument import parse_component
from lowvision.config.validation import did_you_mean
from lowvision.errors import UsageError
from lowvision.models import pretrained, weights
from lowvision.models.architecture import Architecture
from lowvision.plugins.contracts import Backbone
from lowvision.plugins.registry import Registry

PLACE = "--students"


@dataclass(frozen=True)
class GivenStudents:
    """The students that a user names."""

    networks: tuple[Backbone, ...] = ()
    trained: tuple[TrainedWeights, ...] = ()
    """Weights that hold some of the networks."""


def read(texts: Sequence[str], teacher: Architecture, registry: Registry) -> GivenStudents:
    """Return the students that the texts name; weights of a container name all its branches.

    Raises UsageError for a text that names nothing and for weights of another scale or number of channels.
    """
    networks: list[Backbone] = []
    trained: list[TrainedWeights] = []
    for text in texts:
        if _is_weights(text, registry):
            trained.append(_weights(text, teacher, registry))
            networks += trained[-1].networks
        else:
            networks.append(parse_component("backbones", text, PLACE, registry))
    return GivenStudents(tuple(networks), tuple(trained))


def _is_weights(text: str, registry: Registry) -> bool:
    """Return True for a file and a name of shipped weights, False for a network. Raises UsageError for other words."""
    if text in registry["weights"] or os.path.exists(text):
        return True
    backbones = registry["backbones"]
    if text in backbones or any(mark in text for mark in "{:"):
        return False
    hint = did_you_mean(text, [*backbones, *registry["weights"]]) or "`lowvision ls backbones` lists the networks"
    raise UsageError(f"{PLACE} {text}: no such file, network or shipped weights; {hint}")


def _weights(name: str, teacher: Architecture, registry: Registry) -> TrainedWeights:
    stored = weights.check(pretrained.find(Path(name), registry), registry).architecture
    ours, wanted = stored.task, teacher.task
    if (ours.scale, ours.channels) != (wanted.scale, wanted.channels):
        raise UsageError(
            f"{PLACE} {name}: has scale {ours.scale} and {ours.channels} channels, the network {wanted.scale} and "
            f"{wanted.channels}; name weights of the same scale and channels"
        )
    return TrainedWeights(name, stored.branches)
