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
    """Train the container on all tiles, and write the weights to the stage folder. Fitted classifiers stay fixed.

    Frozen branches are in the deployed form, others in the form that is trained.
    """
    architecture = job.deployed if frozen_branches else job.architecture

    def keep(path: Path, trained: nn.Module, measured: dict[str, Value]) -> None:
        job.save(path, trained, architecture, measured)

    container = batch_norm.shared(container, job.accelerator)
    extractor = job.extractor("train")
    samples = job.samples(extractor, Grid(extractor.photographs, extractor.size, stride=1), stage)
    classifier = job.recipe.classifier
    is_trained = classifier is None or classifier.trained
    objective = RoutedObjective(container, options, frozen_branches) if is_trained else EveryBranchObjective(container)
    # Parameters that only the objective of a backbone uses get no gradient in a container.
    parts = zip(architecture.branches, container.branches.networks, strict=True)
    objective.find_unused_parameters = any(backbone.objective(network) is not None for backbone, network in parts)
    validator = validation.of_deployed(validation.of_container(job), architecture)
    spec = TrainingSpec(stage, objective, container, validator, keep, validation.pictures(job))
    job.claim_training(job.folder / stage)
    fit(spec, samples, options, job.accelerator, job.folder / stage, job.log, job.recipe.data.workers)


def assembled(job: Job, training: bool = False) -> RoutedContainer:
    """Build a container of the branches of earlier stages, with an untrained classifier, or one fitted to tiles.

    training: build the branches in the form that is trained, instead of the deployed form.
    """
    torch.manual_seed(job.recipe.seed)
    architecture = job.architecture if training else job.deployed
    container: RoutedContainer = architecture.build_container()
    for k in range(len(job.recipe.branches)):
        path = job.branch_weights(k, training)
        if path is None:
            job.log.info(f"branch {k} has no trained weights: the classifier may collapse; add stages.branches")
            continue
        trained = weights.load_network(path, architecture.only(k), job.registry)
        container.branches.networks[k].load_state_dict(trained.state_dict())
    classifier = job.recipe.classifier
    if classifier and not classifier.trained:
        branches, extractor = container.branches, job.extractor("valid")
        tiles = fitting.fitting_tiles(branches, extractor, job.recipe.seed, job.accelerator.device)
        container.classifier = fitting.fitted(classifier, architecture, tiles)
    return container
