"""The arguments of `lowvision evaluate`, and the networks and the evaluation that they describe."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from lowvision.commands.tasks import with_task
from lowvision.data import photographs
from lowvision.data.tiles import TileExtractor, fixed_tiles
from lowvision.errors import UsageError
from lowvision.evaluation import fitting
from lowvision.evaluation.build import build_evaluation
from lowvision.evaluation.measure import DEFAULT_METRICS, Evaluation
from lowvision.imaging.protocol import Protocol
from lowvision.models import calibration, weights, weights_header
from lowvision.models.architecture import Architecture
from lowvision.pipeline.core_stages import Evaluate
from lowvision.plugins.contracts import Adaptive, Dataset, Task
from lowvision.plugins.metrics import Metric
from lowvision.plugins.registry import Registry
from lowvision.routing.container import RoutedContainer
from lowvision.system.allocator import keep_memory

logger = logging.getLogger("lowvision")


@dataclass(frozen=True)
class Loaded:
    """The networks of a weights file for the task that is measured."""

    architecture: Architecture
    base: nn.Module
    """The single network, or the last branch of the container."""
    container: RoutedContainer | None
    """None: a single network."""
    curve: calibration.Curve | None
    """None: not calibrated for this task."""


@dataclass(frozen=True)
class EvaluateRequest:
    """Weights, budgets, task, protocol and metrics of an evaluation: everything but the photographs and the machine."""

    weights: Path
    budgets: tuple[float, ...] = ()
    """Shares of the cost of the base (the last branch) on the whole image at which to measure too."""
    fit_on: Dataset | None = None
    """Photographs on which to fit classifiers that need no training; they and an oracle are measured too."""
    task: Task | None = None
    """Task to measure; None: the task that the weights were trained for."""
    protocol: Protocol = "basicsr"
    """Luma of photographs whose files are grey."""
    metrics: Mapping[str, Metric] = field(default_factory=lambda: dict(DEFAULT_METRICS))
    """Measures of quality by name."""

    def load(self, registry: Registry) -> Loaded:
        """Load the weights. A curve is omitted if they are measured at another task.

        Raises WeightsError, and UsageError for a task of another scale or other channels, and for a budget or `fit_on`
        that a single network cannot use.
        """
        header = weights.read_header(self.weights, registry)
        architecture = header.architecture.deployed()
        if self.task is not None:
            architecture = with_task(architecture, self.task, registry)
        if weights.is_foreign(self.weights):
            logger.info("%s", weights_header.recognised(header, registry))
        curve = calibration.read(header.measured) if self.task is None else None
        if architecture.classifier is None:
            network = weights.load_network(self.weights, architecture, registry)
            self._check_single_network(network)
            return Loaded(architecture, network, None, curve)
        container = weights.load_container(self.weights, architecture, registry)
        return Loaded(architecture, container.branches.networks[-1], container, curve)

    def _check_single_network(self, network: nn.Module) -> None:
        """Raise UsageError for a budget or `fit_on` that a single network cannot use."""
        if not isinstance(network, Adaptive):
            if self.budgets or self.fit_on:
                raise UsageError(
                    f"{self.weights}: is a single network without routing; leave --budget and --compare out"
                )
        elif self.budgets and not self.fit_on:
            raise UsageError(
                f"{self.weights}: an adaptive network needs photographs to calibrate a budget; give some with --compare"
            )

    def evaluation(self, loaded: Loaded, registry: Registry, device: torch.device) -> Evaluation:
        """Build the evaluation; classifiers and adaptive budgets are fitted on the photographs of `fit_on`."""
        if device.type == "cpu":
            keep_memory()
        container = loaded.container
        extractor = _tile_extractor(self.fit_on, loaded.architecture) if self.fit_on else None
        tiles = fitting.fitting_tiles(container.branches, extractor, 0, device) if container and extractor else None
        evaluation = build_evaluation(
            loaded.architecture,
            loaded.base,
            container,
            registry=registry,
            fitting=tiles,
            budgets=self.budgets,
            batch=Evaluate().batch,
            seed=0,
            device=device,
            protocol=self.protocol,
            metrics=self.metrics,
            curve=loaded.curve,
        )
        if evaluation.adaptive and self.budgets and extractor:
            lq, gt = fixed_tiles(extractor, fitting.TILES, 0)
            return evaluation.with_adaptive_budgets(self.budgets, lq, gt)
        return evaluation


def _tile_extractor(dataset: Dataset, architecture: Architecture) -> TileExtractor:
    task = architecture.task
    return TileExtractor(photographs.load(dataset, task), task, architecture.tile.size)
