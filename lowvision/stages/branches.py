"""The stage `branches`: trains each branch on the tiles of its own class."""

from __future__ import annotations

from pathlib import Path

from lowvision.recipe.models import Branches
from lowvision.stages import network, rank
from lowvision.stages.job import Job
from lowvision.training.tiles import Grid


def run(job: Job, options: Branches) -> None:
    """Leaves the weights of branch k in `branches/k/`."""
    cutter = job.cutter("train")
    ranking = rank.read(job, cutter) if job.recipe.stages.rank else None
    for k in range(len(job.recipe.branches)):
        pool = ranking.of_class(k) if ranking else Grid(cutter.photographs, cutter.size, stride=1)
        network.train(job, f"branches/{k}", job.architecture.only(k), options, cutter, pool, _start(job, options, k))


def _start(job: Job, options: Branches, k: int) -> Path | None:
    branch = job.recipe.branches[k]
    if job.recipe.stages.base and options.last_from_base and branch.backbone == job.recipe.base:
        return job.base_weights()
    return Path(branch.weights) if branch.weights else None
