"""Trains one network on tiles: what the base and every branch have in common."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from lowvision import weights
from lowvision.architecture import Architecture
from lowvision.stages import judging
from lowvision.stages.job import Job
from lowvision.training import augment
from lowvision.training.log import Value
from lowvision.training.loop import Trainee, fit
from lowvision.training.objective import RestorationObjective
from lowvision.training.options import Fit
from lowvision.training.tiles import Cutter, Pool, Samples


def train(
    job: Job, stage: str, architecture: Architecture, options: Fit, cutter: Cutter, pool: Pool, start: Path | None
) -> None:
    """Train the network that `architecture` names on the tiles of `pool`; weights go to the stage's folder.

    start: a weights file to start from; None: from noise.
    """
    # Every stage starts from its own seed, so that leaving one out does not change another's noise.
    torch.manual_seed(job.recipe.seed)
    network = weights.load_network(start, architecture, job.registry) if start else architecture.build_network()
    if job.accelerator.num_processes > 1 and job.accelerator.device.type == "cuda":
        # Statistics of a process's own small share would differ between processes. It has no effect without BatchNorm.
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)

    def keep(path: Path, trained: nn.Module, measured: dict[str, Value]) -> None:
        weights.save(path, trained, architecture, job.registry, measured)

    samples = Samples(cutter, pool, augment.build(job.recipe.data.augment), job.recipe.seed, stage)
    trainee = Trainee(stage, RestorationObjective(network), network, judging.of_network(job), keep)
    fit(trainee, samples, options, job.accelerator, job.folder / stage, job.log, job.recipe.data.workers)
