"""Assemble and train a container, for the stages `classifier` and `joint`."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from lowvision.data.tiles import Grid
from lowvision.evaluation import fitting
from lowvision.models import weights
from lowvision.models.architecture import Architecture
from lowvision.pipeline.stages import validation
from lowvision.pipeline.stages.job import Job
from lowvision.routing.container import RoutedContainer
from lowvision.training import batch_norm
from lowvision.training.log import Value
from lowvision.training.loop import TrainingSpec, fit
from lowvision.training.loss_sum import LossSum
from lowvision.training.objective import EveryBranchObjective, Objective, RoutedObjective
from lowvision.training.options import RoutedFit


def train(
    job: Job,
    stage: str,
    options: RoutedFit,
    container: RoutedContainer,
    frozen_branches: bool,
    samples: Dataset[tuple[Tensor, Tensor]] | None = None,
) -> None:
    """Train the container, and write the weights to the stage folder. Fitted classifiers stay fixed.

    Frozen branches are in the deployed form, others in the form that is trained. samples: default, all tiles.
    """
    architecture = job.deployed if frozen_branches else job.architecture

    def keep(path: Path, trained: nn.Module, measured: dict[str, Value]) -> None:
        job.save(path, trained, architecture, measured)

    container = batch_norm.shared(container, job.accelerator)
    if samples is None:
        extractor = job.extractor("train")
        samples = job.samples(extractor, Grid(extractor.photographs, extractor.size, stride=1), stage)
    classifier = job.recipe.classifier
    is_trained = classifier is None or classifier.trained
    image_loss = job.image_loss(options)
    own = {} if frozen_branches else _own_objectives(architecture, container, image_loss)
    objective: Objective = (
        RoutedObjective(container, options, frozen_branches, image_loss, own)
        if is_trained
        else EveryBranchObjective(container, image_loss, own)
    )
    selection = job.selection(options)
    validator = validation.of_deployed(validation.of_container(job, selection), architecture)
    spec = TrainingSpec(
        stage, objective, container, validator, keep, image_loss, selection, validation.pictures(job), job.degrade
    )
    job.claim_training(job.folder / stage)
    fit(spec, samples, options, job.accelerator, job.folder / stage, job.log, job.recipe.data.workers)


def _own_objectives(
    architecture: Architecture, container: RoutedContainer, image_loss: LossSum
) -> dict[int, nn.Module]:
    """Return the objectives of the branches whose backbones define one, by branch."""
    parts = zip(architecture.branches, container.branches.networks, strict=True)
    own = {k: backbone.objective(network, image_loss) for k, (backbone, network) in enumerate(parts)}
    return {k: objective for k, objective in own.items() if objective is not None}


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
