"""The stage `branches`: train each branch on the tiles of its own class."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from torch import Tensor, nn
from torch.utils.data import Dataset

from lowvision.data.tiles import Grid, Mixed, TileExtractor
from lowvision.errors import RunError
from lowvision.pipeline.core_stages import Branches
from lowvision.pipeline.stages import network, rank, tile_sizes
from lowvision.pipeline.stages.job import Job
from lowvision.recipe.models import Branch


def run(job: Job, options: Branches) -> None:
    """Write the weights of branch k to `branches/k/`."""
    ranked = job.extractor("train")
    ranking = rank.read(job, ranked) if job.recipe.stages.rank else None
    for k in range(len(job.recipe.branches)):
        own = options.of(k)
        samples = tile_sizes.in_turn(job, own, partial(_samples, job, own, k, ranking, ranked))
        network.train(job, f"branches/{k}", job.architecture.only(k), own, samples, _initial(job, options, k))


def _samples(
    job: Job, options: Branches, k: int, ranking: rank.Ranking | None, ranked: TileExtractor, extractor: TileExtractor
) -> Dataset[tuple[Tensor, Tensor]]:
    """Return the training tiles of branch k: of its class, of all positions, or of both."""
    stage = f"branches/{k}"
    everywhere = Grid(extractor.photographs, extractor.size, stride=1)
    all_samples = job.samples(extractor, everywhere, f"{stage}/everywhere", defers=True)
    if ranking is None:
        return all_samples
    pool = ranking.resized(ranked, extractor).of_class(k)
    if not len(pool):
        raise RunError(f"{stage}: no tile of its class is in a photograph of {extractor.size} pixels; lower tile")
    return Mixed(job.samples(extractor, pool, stage, defers=True), all_samples, options.own_class)


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
