"""Assemble and train a container, for the stages `classifier` and `joint`."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from lowvision.data.tiles import Grid
from lowvision.evaluation import fitting
from lowvision.models import weights
from lowvision.pipeline.stages import validation
from lowvision.pipeline.stages.job import Job
from lowvision.routing.container import RoutedContainer
from lowvision.training import batch_norm
from lowvision.training.log import Value
from lowvision.training.loop import TrainingSpec, fit
from lowvision.training.objective import EveryBranchObjective, RoutedObjective
from lowvision.training.options import RoutedFit


def train(job: Job, stage: str, options: RoutedFit, container: RoutedContainer, frozen_branches: bool) -> None:
    """Train the container on all tiles, and write the weights to the stage folder. Fitted classifiers stay fixed."""

    def keep(path: Path, trained: nn.Module, measured: dict[str, Value]) -> None:
        weights.save(path, trained, job.architecture, job.registry, measured, job.provenance)

    container = batch_norm.shared(container, job.accelerator)
    extractor = job.extractor("train")
    samples = job.samples(extractor, Grid(extractor.photographs, extractor.size, stride=1), stage)
    classifier = job.recipe.classifier
    is_trained = classifier is None or classifier.trained
    objective = RoutedObjective(container, options, frozen_branches) if is_trained else EveryBranchObjective(container)
    # Parameters that only the objective of a backbone uses get no gradient in a container.
    parts = zip(job.architecture.branches, container.branches.networks, strict=True)
    objective.find_unused_parameters = any(backbone.objective(network) is not None for backbone, network in parts)
    spec = TrainingSpec(stage, objective, container, validation.of_container(job), keep)
    job.claim_training(job.folder / stage)
    fit(spec, samples, options, job.accelerator, job.folder / stage, job.log, job.recipe.data.workers)


def assembled(job: Job) -> RoutedContainer:
    """Build a container of the branches of earlier stages, with an untrained classifier, or one fitted to tiles."""
    torch.manual_seed(job.recipe.seed)
    container = job.architecture.build_container()
    for k in range(len(job.recipe.branches)):
        path = job.branch_weights(k)
        if path is None:
            job.log.info(f"branch {k} has no trained weights: the classifier may collapse; add stages.branches")
            continue
        trained = weights.load_network(path, job.architecture.only(k), job.registry)
        container.branches.networks[k].load_state_dict(trained.state_dict())
    classifier = job.recipe.classifier
    if classifier and not classifier.trained:
        branches, extractor = container.branches, job.extractor("valid")
        tiles = fitting.fitting_tiles(branches, extractor, job.recipe.seed, job.accelerator.device)
        container.classifier = fitting.fitted(classifier, job.architecture, tiles)
    return container
