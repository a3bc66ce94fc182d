"""Implement `lowvision evaluate`: measure a weights file and its base network on sets of photographs."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lowvision import report
from lowvision.commands.tasks import with_task
from lowvision.data import photographs
from lowvision.data.tiles import TileExtractor, fixed_tiles
from lowvision.errors import UsageError
from lowvision.evaluation import fitting
from lowvision.evaluation.build import build_evaluation
from lowvision.evaluation.measure import DEFAULT_METRICS, Evaluation
from lowvision.evaluation.run import run_evaluation
from lowvision.imaging.protocol import Protocol
from lowvision.models import calibration, weights, weights_header
from lowvision.models.architecture import Architecture
from lowvision.pipeline.core_stages import Evaluate
from lowvision.plugins import spelling
from lowvision.plugins.contracts import Adaptive, Dataset, Task
from lowvision.plugins.metrics import Metric
from lowvision.plugins.registry import Registry
from lowvision.routing.container import RoutedContainer
from lowvision.system import accelerators
from lowvision.system.allocator import keep_memory
from lowvision.training.log import Log

logger = logging.getLogger("lowvision")


@dataclass(frozen=True)
class _Loaded:
    """The networks of a weights file for the task that is measured."""

    architecture: Architecture
    base: nn.Module
    """The single network, or the last branch of the container."""
    container: RoutedContainer | None
    """None: a single network."""
    curve: calibration.Curve | None
    """None: not calibrated for this task."""


def evaluate(
    path: Path,
    sets: Mapping[str, Dataset],
    registry: Registry,
    output: Path | None,
    device: str,
    budgets: tuple[float, ...] = (),
    fit_on: Dataset | None = None,
    task: Task | None = None,
    protocol: Protocol = "basicsr",
    metrics: Mapping[str, Metric] = DEFAULT_METRICS,
    prints: bool = True,
) -> dict[str, Any]:
    """Return the report's document; with `output`, also write the report and its pictures there.

    budgets: shares of the cost of the base (the last branch) on the whole image at which to measure too.
    fit_on: photographs on which to fit classifiers that need no training; they and an oracle are measured too.
    task: task to measure; None: the task that the weights were trained for.
    protocol: luma of photographs whose files are grey. metrics: measures of quality by name. prints: False: nothing is
    printed.
    Raises WeightsError and DataError; UsageError for a budget or `fit_on` that a single network cannot use, and for a
    task of another scale or other channels.
    """
    loaded = _load(path, task, registry)
    architecture = loaded.architecture
    if loaded.container is None:
        _check_single_network(path, loaded.base, budgets, fit_on)
    images = {name: photographs.load(dataset, architecture.task) for name, dataset in sets.items()}
    with _folder(output) as folder:
        accelerator = accelerators.build(device)
        if accelerator.device.type == "cpu":
            keep_memory()
        evaluation = _evaluation(
            loaded, registry, budgets, fit_on, device=accelerator.device, protocol=protocol, metrics=metrics
        )
        log, shown = Log(folder, accelerator.is_main_process, prints=prints), 4 if output else 0
        document = {
            "schema": report.SCHEMA,
            "task": registry.serialize(architecture.task),
            "title": spelling.in_words(architecture.task, registry),
            **run_evaluation(evaluation, architecture, images, shown, accelerator, log, folder / "pictures"),
        }
        if output and accelerator.is_main_process:
            report.write(folder, document, [], folder / "pictures")
    return document


def _load(path: Path, task: Task | None, registry: Registry) -> _Loaded:
    """Load a weights file; its curve is omitted if it is measured at another task."""
    header = weights.read_header(path, registry)
    architecture = header.architecture.deployed()
    if task is not None:
        architecture = with_task(architecture, task, registry)
    if weights.is_foreign(path):
        logger.info("%s", weights_header.recognised(header, registry))
    curve = calibration.read(header.measured) if task is None else None
    if architecture.classifier is None:
        return _Loaded(architecture, weights.load_network(path, architecture, registry), None, curve)
    container = weights.load_container(path, architecture, registry)
    return _Loaded(architecture, container.branches.networks[-1], container, curve)


@contextmanager
def _folder(output: Path | None) -> Iterator[Path]:
    """Yield the folder of the report, created if missing, or a temporary one. Raises UsageError."""
    if output is None:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)
        return
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{output}: cannot create the folder: {error.strerror}; give another -o") from None
    yield output


def _evaluation(
    loaded: _Loaded,
    registry: Registry,
    budgets: tuple[float, ...],
    fit_on: Dataset | None,
    *,
    device: torch.device,
    protocol: Protocol,
    metrics: Mapping[str, Metric],
) -> Evaluation:
    """Build the evaluation; classifiers and adaptive budgets are fitted on the photographs of `fit_on`."""
    container = loaded.container
    extractor = _tile_extractor(fit_on, loaded.architecture) if fit_on else None
    tiles = fitting.fitting_tiles(container.branches, extractor, 0, device) if container and extractor else None
    evaluation = build_evaluation(
        loaded.architecture,
        loaded.base,
        container,
        registry=registry,
        fitting=tiles,
        budgets=budgets,
        batch=Evaluate().batch,
        seed=0,
        device=device,
        protocol=protocol,
        metrics=metrics,
        curve=loaded.curve,
    )
    if evaluation.adaptive and budgets and extractor:
        lq, gt = fixed_tiles(extractor, fitting.TILES, 0)
        return evaluation.with_adaptive_budgets(budgets, lq, gt)
    return evaluation


def _tile_extractor(dataset: Dataset, architecture: Architecture) -> TileExtractor:
    task = architecture.task
    return TileExtractor(photographs.load(dataset, task), task, architecture.tile.size)


def _check_single_network(path: Path, network: nn.Module, budgets: tuple[float, ...], fit_on: Dataset | None) -> None:
    """Raise UsageError for a budget or `fit_on` that a single network cannot use."""
    if not isinstance(network, Adaptive):
        if budgets or fit_on:
            raise UsageError(f"{path}: is a single network without routing; leave --budget and --compare out")
    elif budgets and not fit_on:
        raise UsageError(
            f"{path}: an adaptive network needs photographs to calibrate a budget; give some with --compare"
        )
