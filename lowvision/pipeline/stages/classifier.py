"""The stage `classifier`: train the classifier with frozen branches."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from lowvision.data.tiles import Ranked
from lowvision.models import weights
from lowvision.pipeline.core_stages import ClassifierStage
from lowvision.pipeline.stages import branch_errors, container, rank, tile_sizes
from lowvision.pipeline.stages.job import Job
from lowvision.routing.container import RoutedContainer
from lowvision.training import batch_norm
from lowvision.training.log import Value
from lowvision.training.loop import TrainingSpec, fit
from lowvision.training.objective import RankingObjective

RANKED = "classifier/ranked"
"""Folder of the container after its classifier has learned the ranking."""


def run(job: Job, options: ClassifierStage) -> None:
    """Train the classifier, and write the container, its branches in the deployed form, to `classifier/`."""
    if job.recipe.classifier and job.recipe.classifier.predicts == "error":
        branch_errors.train(job, options, _initial(job, options))
        return
    ranked = job.folder / RANKED / "last.safetensors"
    if options.ranked_steps and not ranked.exists():
        _learn_ranking(job, options, _initial(job, options))
    path = ranked if options.ranked_steps else None
    start = weights.load_container(path, job.deployed, job.registry) if path else _initial(job, options)
    samples = tile_sizes.everywhere(job, options, "classifier")
    container.train(job, "classifier", options, start, frozen_branches=True, samples=samples)


def _initial(job: Job, options: ClassifierStage) -> RoutedContainer:
    if options.start:
        return weights.load_container(job.weights_path(options.start), job.deployed, job.registry)
    return container.assembled(job)


def _learn_ranking(job: Job, options: ClassifierStage, start: RoutedContainer) -> None:
    """Train the classifier to predict the classes of the ranked tiles."""

    def keep(path: Path, trained: nn.Module, measured: dict[str, Value]) -> None:
        weights.save(path, trained, job.deployed, job.registry, measured, job.provenance)

    start = batch_norm.shared(start, job.accelerator)
    extractor = job.extractor("train")
    ranking = rank.read(job, extractor)
    classes = range(len(job.recipe.branches))
    samples = Ranked(tuple(job.samples(extractor, ranking.of_class(k), f"{RANKED}/{k}") for k in classes))
    spec = TrainingSpec(RANKED, RankingObjective(start), start, None, keep)
    fit_options = options.replace(steps=options.ranked_steps, lr=options.ranked_lr, micro_batch=None, warmup=0)
    job.claim_training(job.folder / RANKED)
    fit(spec, samples, fit_options, job.accelerator, job.folder / RANKED, job.log, job.recipe.data.workers)
