"""The stage `branches`: train each branch on the tiles of its own class."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from lowvision.data.tiles import Grid, Mixed
from lowvision.pipeline.core_stages import Branches
from lowvision.pipeline.stages import network, rank
from lowvision.pipeline.stages.job import Job
from lowvision.recipe.models import Branch


def run(job: Job, options: Branches) -> None:
    """Write the weights of branch k to `branches/k/`."""
    extractor = job.extractor("train")
    ranking = rank.read(job, extractor) if job.recipe.stages.rank else None
    everywhere = Grid(extractor.photographs, extractor.size, stride=1)
    for k in range(len(job.recipe.branches)):
        stage = f"branches/{k}"
        all_samples = job.samples(extractor, everywhere, f"{stage}/everywhere")
        class_samples = job.samples(extractor, ranking.of_class(k), stage) if ranking else None
        samples = Mixed(class_samples, all_samples, options.own_class) if class_samples else all_samples
        network.train(job, stage, job.architecture.only(k), options.of(k), samples, _initial(job, options, k))


def _initial(job: Job, options: Branches, k: int) -> nn.Module:
    """Return branch k with its initial weights: of the base, of a file, slices of the base, or random."""
    branch = job.recipe.branches[k]
    base = job.base_weights(training=True) if options.from_base else None
    if base and branch.backbone == job.recipe.base:
        return network.initialised(job, job.architecture.only(k), base)
    if file := options.start or branch.weights:
        return network.initialised(job, job.architecture.only(k), job.weights_path(file))
    inherited = _inherited(job, branch, base) if base else None
    return inherited or network.initialised(job, job.architecture.only(k), None)


def _inherited(job: Job, branch: Branch, base: Path) -> nn.Module | None:
    """Return the branch with the weights that its reducers derive from the base; None if that is impossible."""
    backbone = job.recipe.base
    inherited = larger = network.initialised(job, job.architecture.only(-1), base)
    for step in branch.reduced:
        backbone = step.of(backbone)
        inherited = backbone.build(job.recipe.task)
        if not step.reducer.inherit(larger, inherited):
            return None
        larger = inherited
    return inherited if branch.reduced else None
