"""Build the tile engine for given weights: select the runtime, the geometry and the number of threads."""

from __future__ import annotations

import functools
import logging
import math

import torch
from pydantic import ValidationError
from torch import Tensor

from lowvision.errors import RunError, UsageError
from lowvision.inference import autotune
from lowvision.inference.trained_networks import ModelBundle
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

logger = logging.getLogger("lowvision")

AUTO = "auto"
"""Name that selects the fastest installed runtime."""
MERGES = (8, 4, 2)
"""Candidates for the maximum rows and columns of tiles per region."""
FEATURES = 16 * 2**20
"""Limit of the largest tensor of a window, in bytes. Larger windows overlap less, but runtimes keep memory for each
window size: docs/benchmarks.md, "How far tiles overlap". Shallow networks could use a higher limit."""


def build(parts: ModelBundle, runtime: Runtime, device: str) -> Engine:
    """Return the engine for trained networks. Raises RunError if the runtime cannot be used on this machine.

    The classifier always runs in float32: the precision of the runtime changes pixel values, but never the branch of a
    tile.
    """
    reason = runtime.missing()
    if reason:
        raise RunError(reason)
    architecture, threads = parts.architecture, callers(device)
    classifying = runtime.replace(precision="f32")
    counted = _weightless(architecture)
    return Engine(
        networks=Networks(
            classify=classifying.prepare(parts.classifier, threads, device) if parts.classifier else _no_classifier,
            branches=tuple(runtime.prepare(branch, threads, device) for branch in parts.branches),
            prices=counted.branches.prices,
            classifier_price=counted.classifier_price,
        ),
        scale=architecture.task.scale,
        size=architecture.tile.size,
        overlap=architecture.tile.overlap,
        geometry=geometry(architecture),
        batch=runtime.batch,
        callers=threads,
        device=torch.device(device),
        weigh=weighing(architecture),
    )


def of_container(
    container: RoutedContainer, architecture: Architecture, device: torch.device, geometry: Geometry, batch: int
) -> Engine:
    """Return the engine for a container in memory, run by PyTorch. Moves the container to the device, in eval()."""
    container.to(memory_format=torch.channels_last).to(device).eval()
    tile = architecture.tile
    return Engine(
        networks.of(container),
        architecture.task.scale,
        tile.size,
        tile.overlap,
        geometry=geometry,
        batch=batch,
        weigh=weighing(architecture),
    )


def weighing(architecture: Architecture) -> Weigh:
    """Return the cost weight for the scores of the classifier (`lowvision/routing/budget.py`)."""
    predicts_classes = architecture.classifier is None or architecture.classifier.predicts == "class"
    return logarithms if predicts_classes else shares_of_dearest


def runtime_named(
    name: str, parts: ModelBundle, registry: Registry, device: str, precision: Precision = "f32"
) -> Runtime:
    """Return a runtime by name, in a precision; `auto`: the fastest on this machine, which is logged.

    Raises RecipeError for an unknown name, UsageError for a precision that the runtime does not support.
    """
    if name == AUTO:
        size = parts.architecture.tile.size
        fastest = autotune.find(parts, registry, size, size, callers(device), device, precision)
        logger.info("runtime: %s", fastest)
        name = fastest.name
    runtime: type[Runtime] = registry.find("runtimes", name).component
    try:
        return runtime(precision=precision)
    except ValidationError:
        raise UsageError(f"runtime {name} does not support {precision}; omit the runtime or the precision") from None


def geometry(architecture: Architecture) -> Geometry:
    """Return how tiles are merged. It depends on the architecture alone, so that all machines restore alike.

    Tiles are merged only if every branch has a limited receptive field. A branch that sees its whole input, e.g. by
    attention, was trained on tiles and computes something else on a larger window.
    """
    multiple = math.lcm(*(backbone.multiple_of for backbone in architecture.branches))
    if any(backbone.reach(architecture.task) is None for backbone in architecture.branches):
        return Geometry(multiple_of=multiple)
    base = _weightless(architecture.only(-1)).branches.networks[0]
    for merge in MERGES:
        side = merge * (architecture.tile.size - architecture.tile.overlap) + architecture.tile.overlap
        side = up(side, multiple)
        if 4 * cost.largest_tensor(base, (1, architecture.task.channels, side, side)) <= FEATURES:
            return Geometry(merge, multiple_of=multiple)
    return Geometry(multiple_of=multiple)


def callers(device: str) -> int:
    """Return the number of threads that run branches concurrently: one per core; one for an accelerator."""
    return TEAMS.size if device == "cpu" else 1


@functools.lru_cache(maxsize=256)  # a folder holds many images of few sizes
def base_cost(architecture: Architecture, height: int, width: int) -> int:
    """Return the multiply-adds of the base, the last branch, on a whole image of height x width LQ pixels."""
    step = architecture.branches[-1].multiple_of
    shape = (architecture.task.channels, up(height, step), up(width, step))
    return networks.of(_weightless(architecture.only(-1))).prices(shape)[0]


def _weightless(architecture: Architecture) -> RoutedContainer:
    """Build the container on the meta device, to count its cost."""
    with torch.device("meta"):
        return architecture.build_container()


def _no_classifier(tiles: Tensor) -> Tensor:
    raise RunError("a single network has no classifier; restore it by a given choice")
