"""Build the evaluation of trained networks: the base as a user would run it, the container, compared classifiers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from lowvision.evaluation.fitting import FittingTiles, fitted, untrained
from lowvision.evaluation.measure import DEFAULT_METRICS, ComparedClassifier, Evaluation
from lowvision.imaging.protocol import Protocol
from lowvision.inference import engines
from lowvision.models.architecture import Architecture
from lowvision.models.calibration import Curve
from lowvision.plugins.contracts import Adaptive, Classifier
from lowvision.plugins.metrics import Metric
from lowvision.plugins.registry import Registry
from lowvision.routing import networks
from lowvision.routing.container import RoutedContainer
from lowvision.routing.engine import Engine
from lowvision.routing.regions import Geometry


def build_evaluation(
    architecture: Architecture,
    base: nn.Module,
    container: RoutedContainer | None,
    *,
    registry: Registry,
    fitting: FittingTiles | None,
    budgets: tuple[float, ...],
    batch: int,
    seed: int,
    device: torch.device,
    protocol: Protocol = "basicsr",
    metrics: Mapping[str, Metric] = DEFAULT_METRICS,
    curve: Curve | None = None,
) -> Evaluation:
    """Return the evaluation of a base, and of a container if there is one.

    fitting: the tiles that the compared classifiers are fitted to; None: no comparison. budgets: fractions of the base
    cost to measure. batch: tiles per forward pass. protocol: luma of photographs whose files are grey.
    metrics: measures of quality by name.
    curve: the calibration of the container, to measure the speeds of `lowvision restore`.
    """
    # A user would run the base in eager mode and the default memory format. It may be part of the container: copy it.
    base = copy.deepcopy(base).to(memory_format=torch.contiguous_format).to(device).eval()
    alone = RoutedContainer(nn.Identity(), [base])
    task, tile = architecture.task, architecture.tile
    merged = engines.geometry(architecture)
    base_engine = Engine(networks.of(alone), task.scale, tile.size, tile.overlap, geometry=merged.alone, batch=batch)
    adaptive = {"adaptive": base} if isinstance(base, Adaptive) else {}
    reach = architecture.branches[-1].reach(task)
    of_base = Evaluation(
        task,
        base,
        None,
        base_engine,
        seed,
        device,
        adaptive=adaptive,
        protocol=protocol,
        metrics=metrics,
        reach=reach,
    )
    if container is None:
        return of_base
    build_engine = partial(engines.of_container, device=device, batch=batch)
    return replace(
        of_base,
        engine=build_engine(container, architecture, geometry=merged.alone),
        compared=None
        if fitting is None
        else _compared(container, architecture, registry, fitting, build_engine, merged.alone),
        merging=build_engine(container, architecture, geometry=merged, border=(curve and curve.border) or ()),
        budgets=budgets,
        speeds=curve.speeds() if curve else {},
    )


def _compared(
    container: RoutedContainer,
    architecture: Architecture,
    registry: Registry,
    fitting: FittingTiles,
    build_engine: Callable[..., Engine],
    geometry: Geometry,
) -> dict[str, ComparedClassifier]:
    """Route the same branches by every classifier that needs no training."""
    compared = {}
    for name, classifier in untrained(registry):
        other = RoutedContainer(fitted(classifier, architecture, fitting), container.branches.networks)
        engine = build_engine(other, architecture.replace(classifier=classifier), geometry=geometry)
        compared[name] = ComparedClassifier(_description(name, classifier), engine)
    return compared


def descriptions(registry: Registry) -> dict[str, str]:
    """Return the description of every classifier that an evaluation compares, by name."""
    return {name: _description(name, classifier) for name, classifier in untrained(registry)}


def _description(name: str, classifier: Classifier) -> str:
    return (type(classifier).__doc__ or name).partition("\n")[0]
