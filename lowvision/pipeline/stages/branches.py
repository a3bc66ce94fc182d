"""The stage `branches`: trains each branch on the tiles of its own class."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from lowvision.data.tiles import Grid, Mixed
from lowvision.pipeline.stages import network, rank
from lowvision.pipeline.stages.job import Job
from lowvision.recipe.models import Branch
from lowvision.recipe.stages import Branches


def run(job: Job, options: Branches) -> None:
    """Leaves the weights of branch k in `branches/k/`."""
    extractor = job.extractor("train")
    ranking = rank.read(job, extractor) if job.recipe.stages.rank else None
    everywhere = Grid(extractor.photographs, extractor.size, stride=1)
    for k in range(len(job.recipe.branches)):
        stage = f"branches/{k}"
        of_all = job.samples(extractor, everywhere, f"{stage}/everywhere")
        own = job.samples(extractor, ranking.of_class(k), stage) if ranking else None
        samples = Mixed(own, of_all, options.own_class) if own else of_all
        network.train(job, stage, job.architecture.only(k), options.of(k), samples, _started(job, options, k))


def _started(job: Job, options: Branches, k: int) -> nn.Module:
    """Branch k with the weights that it starts from: the base's, those of a file, slices of the base's, or noise."""
    branch = job.recipe.branches[k]
    base = job.base_weights() if options.from_base else None
    if base and branch.backbone == job.recipe.base:
        return network.started(job, job.architecture.only(k), base)
    if file := options.start or branch.weights:
        return network.started(job, job.architecture.only(k), job.named(file))
    inherited = _inherited(job, branch, base) if base else None
    return inherited or network.started(job, job.architecture.only(k), None)


def _inherited(job: Job, branch: Branch, base: Path) -> nn.Module | None:
    """The branch as its reducers hand the base down to it; None where one of them cannot, or it has none."""
    backbone = job.recipe.base
    inherited = larger = network.started(job, job.architecture.only(-1), base)
    for step in branch.reduced:
        backbone = step.of(backbone)
        inherited = backbone.build(job.recipe.task)
        if not step.reducer.inherit(larger, inherited):
            return None
        larger = inherited
    return inherited if branch.reduced else None
