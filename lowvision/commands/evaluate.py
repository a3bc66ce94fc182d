"""What `lowvision evaluate` does: measures a weights file on sets of photographs, beside its own base."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from lowvision import report
from lowvision.data import photographs
from lowvision.data.tiles import TileExtractor, fixed_tiles
from lowvision.errors import UsageError
from lowvision.evaluation import fitting
from lowvision.evaluation.build import build_evaluation
from lowvision.evaluation.measure import Evaluation
from lowvision.evaluation.run import run_evaluation
from lowvision.models import weights
from lowvision.models.architecture import Architecture
from lowvision.plugins.contracts import Adaptive, Dataset, Task
from lowvision.plugins.registry import Registry
from lowvision.recipe.stages import Evaluate
from lowvision.routing.container import RoutedContainer
from lowvision.system import devices
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
) -> dict[str, Any]:
    """The report's document; with `output` the whole report and its pictures are left there too.

    The base is the container's last branch. budgets: shares of its cost on the whole image, at which to measure too.
    fit_on: photographs to fit classifiers without training on, which are then compared, beside an oracle.
    task: the degradation to measure at, where it is not the one that the weights were trained for.
    Raises WeightsError and DataError, and UsageError where a single network is asked to route, or for a task whose
    images have another size or other channels.
    """
    header = weights.read_header(path, registry)
    architecture = header.architecture if task is None else _at(header.architecture, task, registry)
    if weights.is_foreign(path):
        logger.info("%s", weights.recognised(header, registry))
    container = None
    if architecture.classifier:
        container = weights.load_container(path, architecture, registry)
        base = container.branches.networks[-1]
    else:
        base = weights.load_network(path, architecture, registry)
        _require_choice(path, base, budgets, fit_on)
    found = {name: photographs.load(dataset, architecture.task) for name, dataset in sets.items()}
    with tempfile.TemporaryDirectory() as nowhere:
        folder = output or Path(nowhere)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{folder}: cannot be made a folder: {error.strerror}; give another -o") from None
        accelerator = Accelerator(cpu=devices.choose(device) == "cpu")
        if accelerator.device.type == "cpu":
            keep_memory()
        evaluation = _evaluation(architecture, base, container, registry, budgets, fit_on, accelerator.device)
        log, shown = Log(folder, speaks=True), 4 if output else 0
        document = {
            "schema": 1,
            "task": registry.serialize(architecture.task),
            **run_evaluation(evaluation, architecture, found, shown, accelerator, log, folder / "pictures"),
        }
        if output:
            report.write(folder, document, [], folder / "pictures")
    return document


def _evaluation(
    architecture: Architecture,
    base: nn.Module,
    container: RoutedContainer | None,
    registry: Registry,
    budgets: tuple[float, ...],
    fit_on: Dataset | None,
    device: torch.device,
) -> Evaluation:
    """Build the evaluation; classifiers and adaptive budgets are fitted on the photographs of `fit_on`."""
    extractor = _cutter(fit_on, architecture) if fit_on else None
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
    )
    if evaluation.adaptive and budgets and extractor:
        lq, gt = fixed_tiles(extractor, fitting.TILES, 0)
        return evaluation.with_adaptive_budgets(budgets, lq, gt)
    return evaluation


def _at(made: Architecture, task: Task, registry: Registry) -> Architecture:
    """The same networks for another task."""
    if (task.scale, task.channels) != (made.task.scale, made.task.channels):
        asked, trained = (f"{registry.name_of(t)} of scale {t.scale}, {t.channels} channels" for t in (task, made.task))
        raise UsageError(f"--task: {asked}; the weights are for {trained}")
    return made.replace(task=task)


def _cutter(dataset: Dataset, made: Architecture) -> TileExtractor:
    return TileExtractor(photographs.load(dataset, made.task), made.task, made.tile.size)


def _require_choice(path: Path, network: nn.Module, budgets: tuple[float, ...], fit_on: Dataset | None) -> None:
    """Raises UsageError where a single network is asked to choose, and cannot, or not without photographs."""
    if not isinstance(network, Adaptive):
        if budgets or fit_on:
            raise UsageError(f"{path}: a single network has nothing to route; leave --budget and --compare out")
    elif budgets and not fit_on:
        raise UsageError(f"{path}: this network is set to a budget on photographs: give some with --compare")
