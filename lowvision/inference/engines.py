"""Build the tile engine for given weights: select the runtime, the geometry and the number of threads."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from lowvision.config.validation import in_words
from lowvision.errors import RunError, UsageError, WeightsError
from lowvision.inference import autotune
from lowvision.inference.trained_networks import ModelBundle
from lowvision.models import calibration
from lowvision.models.architecture import Architecture
from lowvision.plugins.choice import choose
from lowvision.plugins.contracts import Precision, Runtime, Trained
from lowvision.plugins.registry import Registry
from lowvision.routing import cost, networks
from lowvision.routing.budget import Weigh, logarithms, shares_of_largest_cost
from lowvision.routing.container import RoutedContainer
from lowvision.routing.engine import Engine
from lowvision.routing.networks import Networks, Run
from lowvision.routing.regions import Geometry
from lowvision.routing.several_devices import shared_branches
from lowvision.routing.tiling import up
from lowvision.routing.workers import TEAMS
from lowvision.system import devices, meta_device

logger = logging.getLogger("lowvision")

AUTO = "auto"
"""Name that selects the fastest installed runtime."""
CPU_PIXELS = 4 * 32**2
"""LQ pixels per batch on a CPU; one tile is the minimum. Batches of several large tiles would leave a core idle."""
ACCELERATOR_BATCH = 1024
"""Most tiles per batch on an accelerator: a million pixels of 32x32 tiles keep any of them busy."""
MEMORY_SHARE = 0.25
"""Share of the free memory of an accelerator that a batch may take."""
LIVE_TENSORS = 4
"""Assumed number of tensors, as large as the largest, that a network holds at a time."""
MERGES = (8, 4, 2)
"""Candidates for the maximum rows and columns of tiles per region."""
FEATURES = 16 * 2**20
"""Limit of the largest tensor of a window, in bytes. Larger windows overlap less, but runtimes keep memory for each
window size: docs/benchmarks.md, "How far tiles overlap". Shallow networks could use a higher limit."""


def build(parts: ModelBundle, runtime: Runtime, device: str, *others: str) -> Engine:
    """Return the engine for trained networks. Raises RunError if the runtime cannot be used on this machine.

    others: more devices, which share the batches of the branches with the first; it does everything else.
    The classifier always runs in float32: the precision of the runtime changes pixel values, but never the branch of a
    tile.
    """
    reason = runtime.missing()
    if reason:
        raise RunError(reason)
    architecture, merged = parts.architecture, geometry(parts.architecture)
    threads = len(others) + _callers_for(architecture, merged, device)
    classifying = runtime.replace(precision="f32")
    counted = _weightless(architecture)
    return Engine(
        networks=Networks(
            classify=_classifier(classifying, parts.classifier, threads, device)
            if parts.classifier
            else _no_classifier,
            branches=_branches(parts, runtime, threads, (device, *others)),
            costs=counted.branches.costs,
            classifier_cost=counted.classifier_cost,
        ),
        scale=architecture.task.scale,
        size=architecture.tile.size,
        overlap=architecture.tile.overlap,
        geometry=merged,
        batch=batch_size(architecture, runtime, torch.device(device)),
        callers=threads,
        device=torch.device(device),
        weigh=weighing(architecture),
        border=calibration.border(parts.header.measured),
    )


def of_container(
    container: RoutedContainer,
    architecture: Architecture,
    device: torch.device,
    geometry: Geometry,
    batch: int,
    border: tuple[float, ...] = (),
) -> Engine:
    """Return the engine for a container in memory, run by PyTorch. Moves the container to the device, in eval()."""
    container.to(memory_format=devices.layout(device)).to(device).eval()
    tile = architecture.tile
    return Engine(
        networks.of(container),
        architecture.task.scale,
        tile.size,
        tile.overlap,
        geometry=geometry,
        batch=batch,
        weigh=weighing(architecture),
        border=border,
    )


def weighing(architecture: Architecture) -> Weigh:
    """Return the cost weight for the scores of the classifier (`lowvision/routing/budget.py`)."""
    predicts_classes = architecture.classifier is None or architecture.classifier.predicts == "class"
    return logarithms if predicts_classes else shares_of_largest_cost


def runtime_named(
    name: str | Mapping[str, Any] | Runtime,
    parts: ModelBundle,
    registry: Registry,
    device: str,
    precision: Precision = "f32",
) -> Runtime:
    """Return a runtime by name, or by name and options, in a precision; `auto`: the fastest here, which is logged.

    A precision among the options takes precedence over float32.
    Raises RecipeError for an unknown name, UsageError for invalid options and unsupported precisions.
    """
    if not isinstance(name, str):
        return _with_options(name, registry, precision)
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


def _with_options(value: Mapping[str, Any] | Runtime, registry: Registry, precision: Precision) -> Runtime:
    """Build a runtime from a choice as recipes write it. Raises UsageError."""
    try:
        runtime = value if isinstance(value, Runtime) else choose("runtimes", value, registry)
        assert isinstance(runtime, Runtime)
        if precision not in ("f32", runtime.precision):
            if "precision" in runtime.model_fields_set:
                raise UsageError(f"precision {precision}: the runtime's options set {runtime.precision}; omit one")
            runtime = runtime.replace(precision=precision)
    except ValidationError as error:
        raise UsageError(f"runtime: {in_words(error)}") from None
    except ValueError as error:
        raise UsageError(f"runtime: {error}") from None
    return runtime


def batch_size(architecture: Architecture, runtime: Runtime, device: torch.device) -> int:
    """Return the tiles per batch: from the runtime's options, otherwise by the device.

    On a CPU, larger batches than a few leave the cache. On an accelerator, a few tiles cost as much as hundreds, since
    each operation takes the same time to launch; there a share of the free memory is the limit.
    """
    if runtime.batch is not None:
        return runtime.batch
    size = architecture.tile.size
    fewest = max(1, CPU_PIXELS // size**2)
    if device.type == "cpu":
        return fewest
    base = _weightless(architecture.only(-1)).branches.networks[0]
    tile_bytes = 4 * LIVE_TENSORS * cost.largest_tensor(base, (1, architecture.task.channels, size, size))
    return max(fewest, min(ACCELERATOR_BATCH, int(MEMORY_SHARE * devices.free_memory(device)) // tile_bytes))


def geometry(architecture: Architecture) -> Geometry:
    """Return how tiles are merged. It depends on the architecture alone, so that all machines give the same result.

    Tiles are merged if every branch has a limited receptive field, or `tile.merge` is set, which may also say how far.
    A branch that sees its whole input, e.g. by attention, computes something else on a larger window than on the tiles
    it was trained on.
    """
    multiple, halo = math.lcm(*(backbone.multiple_of for backbone in architecture.branches)), architecture.tile.halo
    if not isinstance(architecture.tile.merge, bool):
        return Geometry(architecture.tile.merge, halo, multiple)
    sees_all = any(backbone.reach(architecture.task) is None for backbone in architecture.branches)
    if sees_all and not architecture.tile.merge:
        return Geometry(halo=halo, multiple_of=multiple)
    base = _weightless(architecture.only(-1)).branches.networks[0]
    for merge in MERGES:
        side = merge * (architecture.tile.size - architecture.tile.overlap) + architecture.tile.overlap
        side = up(side + 2 * halo, multiple)
        if 4 * cost.largest_tensor(base, (1, architecture.task.channels, side, side)) <= FEATURES:
            return Geometry(merge, halo, multiple)
    return Geometry(halo=halo, multiple_of=multiple)


def callers(device: str) -> int:
    """Return the number of threads that run branches concurrently: one per core; one for an accelerator."""
    return TEAMS.size if device == "cpu" else 1


def _callers_for(architecture: Architecture, merged: Geometry, device: str) -> int:
    """Return the number of threads that run branches: `callers`, or fewer if memory is too short for their windows."""
    most, tile = callers(device), architecture.tile
    if most == 1:
        return most
    side = up(merged.merge * (tile.size - tile.overlap) + tile.overlap + 2 * merged.halo, merged.multiple_of)
    return max(1, min(most, devices.free_memory(device) // base_bytes(architecture, side, side)))


@functools.lru_cache(maxsize=256)  # a folder holds many images of few sizes
def base_cost(architecture: Architecture, height: int, width: int) -> int:
    """Return the multiply-adds of the base, the last branch, on a whole image of height x width LQ pixels."""
    step = architecture.branches[-1].multiple_of
    shape = (architecture.task.channels, up(height, step), up(width, step))
    return networks.of(_weightless(architecture.only(-1))).costs(shape)[0]


def base_bytes(architecture: Architecture, height: int, width: int) -> int:
    """Return about the memory that the base needs for a whole image of height x width LQ pixels, in bytes."""
    base = _weightless(architecture.only(-1)).branches.networks[0]
    return 4 * LIVE_TENSORS * cost.largest_tensor(base, (1, architecture.task.channels, height, width))


def _weightless(architecture: Architecture) -> RoutedContainer:
    """Build the container on the meta device, to count its cost."""
    with meta_device.structure_only():
        return architecture.build_container()


def _branches(parts: ModelBundle, runtime: Runtime, threads: int, devices: Sequence[str]) -> tuple[Run, ...]:
    """Prepare the branches on each device; with several, each batch runs on one of them."""
    prepared = {
        torch.device(device): tuple(runtime.prepare(branch, threads, device) for branch in parts.branches)
        for device in devices
    }
    return next(iter(prepared.values())) if len(prepared) == 1 else shared_branches(prepared)


def _classifier(runtime: Runtime, classifier: Trained | None, threads: int, device: str) -> Run:
    """Prepare the classifier; PyTorch runs one that cannot be exported, whose cost is small."""
    if classifier is None:
        return _no_classifier
    try:
        return runtime.prepare(classifier, threads, device)
    except WeightsError as error:
        try:
            module = classifier.module().to(device)
        except WeightsError:
            raise error from None
        logger.info("%s; PyTorch runs it", str(error).partition("; ")[0])
    return torch.inference_mode()(module.__call__)


def _no_classifier(tiles: Tensor) -> Tensor:
    raise RunError("a single network has no classifier; restore it by a given choice")
