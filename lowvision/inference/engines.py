"""Builds the engine for given weights: by which runtime, in which geometry, on how many threads."""

from __future__ import annotations

import functools
import math

import torch
from pydantic import ValidationError
from torch import Tensor

from lowvision.errors import RunError, UsageError
from lowvision.inference import autotune
from lowvision.inference.trained_networks import ModelBundle, Say, tell
from lowvision.models.architecture import Architecture
from lowvision.plugins.contracts import Precision, Runtime
from lowvision.plugins.registry import Registry
from lowvision.routing import cost, networks
from lowvision.routing.budget import Weigh, logarithms, shares_of_dearest
from lowvision.routing.container import RoutedContainer
from lowvision.routing.engine import Engine
from lowvision.routing.networks import Networks
from lowvision.routing.regions import Geometry
from lowvision.routing.tiling import up
from lowvision.routing.workers import TEAMS

AUTO = "auto"
"""Instead of a runtime's name: the fastest that is installed."""
MERGES = (8, 4, 2)
"""Rows and columns of tiles that a region may have."""
FEATURES = 16 * 2**20
"""Bytes that the largest tensor of a window may take. Larger windows overlap less, but runtimes keep memory for each of
their sizes: docs/benchmarks.md, "How far tiles overlap". Shallow networks would bear more."""


def build(parts: ModelBundle, runtime: Runtime, device: str) -> Engine:
    """The engine for trained networks. Raises RunError where the runtime cannot be used here.

    The classifier decides in float32 whatever the runtime's precision: that changes values, and no tile's branch.
    """
    reason = runtime.missing()
    if reason:
        raise RunError(reason)
    made, threads = parts.architecture, callers(device)
    deciding = runtime.replace(precision="f32")
    counted = _counted(made)
    return Engine(
        networks=Networks(
            classify=deciding.prepare(parts.classifier, threads, device) if parts.classifier else _no_classifier,
            branches=tuple(runtime.prepare(branch, threads, device) for branch in parts.branches),
            prices=counted.branches.prices,
            classifier_price=counted.classifier_price,
        ),
        scale=made.task.scale,
        size=made.tile.size,
        overlap=made.tile.overlap,
        geometry=geometry(made),
        batch=runtime.batch,
        callers=threads,
        device=torch.device(device),
        weigh=weighing(made),
    )


def of_container(
    container: RoutedContainer, made: Architecture, device: torch.device, geometry: Geometry, batch: int
) -> Engine:
    """The engine for a container in memory, run by PyTorch as it is; it is left on the device and in eval()."""
    container.to(memory_format=torch.channels_last).to(device).eval()
    tile = made.tile
    return Engine(
        networks.of(container),
        made.task.scale,
        tile.size,
        tile.overlap,
        geometry=geometry,
        batch=batch,
        weigh=weighing(made),
    )


def weighing(made: Architecture) -> Weigh:
    """What a budget weighs the classifier's answers against."""
    predicts_classes = made.classifier is None or made.classifier.predicts == "class"
    return logarithms if predicts_classes else shares_of_dearest


def runtime_named(
    name: str, parts: ModelBundle, registry: Registry, device: str, precision: Precision = "f32", say: Say = tell
) -> Runtime:
    """The runtime of that name, in that precision; `auto`: the fastest here, which is said.

    Raises RecipeError for a name that nobody provides, UsageError for a precision that it does not have.
    """
    if name == AUTO:
        size = parts.architecture.tile.size
        found = autotune.find(parts, registry, size, size, callers(device), device, precision, say)
        say(f"runtime: {found}")
        name = found.name
    runtime: type[Runtime] = registry.find("runtimes", name).component
    try:
        return runtime(precision=precision)
    except ValidationError:
        raise UsageError(f"runtime {name} does not compute in {precision}; leave one of the two out") from None


def geometry(made: Architecture) -> Geometry:
    """How far tiles are merged. It follows from the architecture alone, so that every machine restores alike.

    Only where every branch sees a limited part of its input. One that sees all of it, as by attention, was trained to
    see a tile, and makes something else of a larger window.
    """
    multiple = math.lcm(*(backbone.multiple_of for backbone in made.branches))
    if any(backbone.reach(made.task) is None for backbone in made.branches):
        return Geometry(multiple_of=multiple)
    base = _counted(made.only(-1)).branches.networks[0]
    for merge in MERGES:
        side = merge * (made.tile.size - made.tile.overlap) + made.tile.overlap
        side = up(side, multiple)
        if 4 * cost.largest_tensor(base, (1, made.task.channels, side, side)) <= FEATURES:
            return Geometry(merge, multiple_of=multiple)
    return Geometry(multiple_of=multiple)


def callers(device: str) -> int:
    """Threads that restore at the same time: one a core; an accelerator is kept busy by one."""
    return TEAMS.size if device == "cpu" else 1


@functools.lru_cache(maxsize=256)  # a folder holds many images of few sizes
def base_cost(made: Architecture, height: int, width: int) -> int:
    """Multiply-adds of the base, the last branch, on a whole image of so many LQ pixels."""
    step = made.branches[-1].multiple_of
    shape = (made.task.channels, up(height, step), up(width, step))
    return networks.of(_counted(made.only(-1))).prices(shape)[0]


def _counted(made: Architecture) -> RoutedContainer:
    """The container without weights, of which only the cost is asked."""
    with torch.device("meta"):
        return made.build_container()


def _no_classifier(tiles: Tensor) -> Tensor:
    raise RunError("a single network has no classifier to ask")
