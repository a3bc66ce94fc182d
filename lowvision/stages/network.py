"""Trains one network on tiles: what the base and every branch have in common."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from lowvision import weights
from lowvision.architecture import Architecture
from lowvision.metrics import psnr
from lowvision.stages.job import Job
from lowvision.training import augment
from lowvision.training.log import Value
from lowvision.training.loop import Trainee, fit
from lowvision.training.objective import RestorationObjective
from lowvision.training.options import Fit
from lowvision.training.tiles import Cutter, Pool, Samples, fixed_tiles

JUDGED_AT_A_TIME = 16


def train(
    job: Job, stage: str, architecture: Architecture, options: Fit, cutter: Cutter, pool: Pool, start: Path | None
) -> None:
    """Train the network that `architecture` names on the tiles of `pool`; weights go to the stage's folder.

    start: a weights file to start from; None: from noise.
    """
    # Every stage starts from its own seed, so that leaving one out does not change another's noise.
    torch.manual_seed(job.recipe.seed)
    network = weights.load_network(start, architecture, job.registry) if start else architecture.build_network()

    def keep(path: Path, trained: nn.Module, measured: dict[str, Value]) -> None:
        weights.save(path, trained, architecture, job.registry, measured)

    samples = Samples(cutter, pool, augment.build(job.recipe.data.augment), job.recipe.seed, stage)
    trainee = Trainee(stage, RestorationObjective(network), network, _judge(job), keep)
    fit(trainee, samples, options, job.accelerator, job.folder / stage, job.log, job.recipe.data.workers)


def _judge(job: Job):  # type: ignore[no-untyped-def]  # the type is Trainee.judge's
    """Mean PSNR over fixed tiles of `data.valid`, shared by all processes; None without such data."""
    if job.recipe.data.valid is None:
        return None
    lq, gt = fixed_tiles(job.cutter("valid"), job.recipe.data.valid_tiles, job.recipe.seed)
    own = slice(job.accelerator.process_index, None, job.accelerator.num_processes)

    @torch.no_grad()
    def judge(network: nn.Module) -> dict[str, Value]:
        total = torch.zeros((), device=job.accelerator.device)
        for some_lq, some_gt in zip(lq[own].split(JUDGED_AT_A_TIME), gt[own].split(JUDGED_AT_A_TIME), strict=True):
            total += psnr(network(some_lq.to(total.device)), some_gt.to(total.device)).sum()
        return {"psnr": job.accelerator.reduce(total, "sum").item() / len(lq)}

    return judge
