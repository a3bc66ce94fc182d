"""Implement `lowvision evaluate`: measure a weights file and its base network on sets of photographs."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
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
    header = weights.read_header(path, registry)
    architecture = header.architecture.deployed()
    if task is not None:
        architecture = with_task(architecture, task, registry)
    if weights.is_foreign(path):
        logger.info("%s", weights_header.recognised(header, registry))
    container = None
    if architecture.classifier:
        container = weights.load_container(path, architecture, registry)
        base = container.branches.networks[-1]
    else:
        base = weights.load_network(path, architecture, registry)
        _check_single_network(path, base, budgets, fit_on)
    loaded = {name: photographs.load(dataset, architecture.task) for name, dataset in sets.items()}
    with tempfile.TemporaryDirectory() as temporary:
        folder = output or Path(temporary)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{folder}: cannot create the folder: {error.strerror}; give another -o") from None
        accelerator = accelerators.build(device)
        if accelerator.device.type == "cpu":
            keep_memory()
        curve = calibration.read(header.measured) if task is None else None
        evaluation = _evaluation(
            architecture, base, container, curve, registry, budgets, fit_on, accelerator.device, protocol, metrics
        )
        log, shown = Log(folder, accelerator.is_main_process, prints=prints), 4 if output else 0
        document = {
            "schema": report.SCHEMA,
            "task": registry.serialize(architecture.task),
            "title": spelling.in_words(architecture.task, registry),
            **run_evaluation(evaluation, architecture, loaded, shown, accelerator, log, folder / "pictures"),
        }
        if output and accelerator.is_main_process:
            report.write(folder, document, [], folder / "pictures")
    return document


def _evaluation(
    architecture: Architecture,
    base: nn.Module,
    container: RoutedContainer | None,
    curve: calibration.Curve | None,
    registry: Registry,
    budgets: tuple[float, ...],
    fit_on: Dataset | None,
    device: torch.device,
    protocol: Protocol,
    metrics: Mapping[str, Metric],
) -> Evaluation:
    """Build the evaluation; classifiers and adaptive budgets are fitted on the photographs of `fit_on`."""
    extractor = _tile_extractor(fit_on, architecture) if fit_on else None
    tiles = fitting.fitting_tiles(container.branches, extractor, 0, device) if container and extractor else None
    evaluation = build_evaluation(
        architecture,
        base,
        container,
        registry=registry,
        fitting=tiles,
        budgets=budgets,
        batch=Evaluate().batch,
        seed=0,
        device=device,
        protocol=protocol,
        metrics=metrics,
        curve=curve,
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
