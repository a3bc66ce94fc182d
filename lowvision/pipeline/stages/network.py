"""Trains one network on tiles: what the base and every branch have in common."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from lowvision.models import weights
from lowvision.models.architecture import Architecture
from lowvision.pipeline.stages import judging
from lowvision.pipeline.stages.job import Job
from lowvision.training.log import Value
from lowvision.training.loop import TrainingSpec, fit
from lowvision.training.objective import Objective, OwnObjective, RestorationObjective
from lowvision.training.options import Fit

LEAST_GAIN = 0.02
"""Decibels above its input from which on a network is of use."""


def started(job: Job, architecture: Architecture, path: Path | None) -> nn.Module:
    """The network that `architecture` names, with the weights of a file; without one, with the noise of the seed."""
    # Every network starts from the same seed, so that leaving one out does not change another's noise.
    torch.manual_seed(job.recipe.seed)
    return weights.load_network(path, architecture, job.registry) if path else architecture.build_network()


def train(
    job: Job,
    stage: str,
    architecture: Architecture,
    options: Fit,
    samples: Dataset[tuple[Tensor, Tensor]],
    network: nn.Module,
) -> None:
    """Train a network, as `architecture` names it, on `samples`; weights go to the stage's folder."""
    if job.accelerator.num_processes > 1 and job.accelerator.device.type == "cuda":
        # Statistics of a process's own small share would differ between processes. It has no effect without BatchNorm.
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)

    def keep(path: Path, trained: nn.Module, measured: dict[str, Value]) -> None:
        weights.save(path, trained, architecture, job.registry, measured, job.provenance)

    spec = TrainingSpec(stage, _objective(architecture, network), network, judging.of_network(job), keep)
    reached = fit(spec, samples, options, job.accelerator, job.folder / stage, job.log, job.recipe.data.workers)
    _tell_if_useless(job, stage, reached)


def _tell_if_useless(job: Job, stage: str, reached: Mapping[str, Value]) -> None:
    """A network with a skip that died in its first steps looks well: it returns its input, and its loss is small."""
    gain = reached.get("gain")
    if isinstance(gain, float) and gain < LEAST_GAIN:
        job.log.say(
            f"{stage}: on data.valid {gain:+.2f} dB against its input: nothing that helps was learned; give it a "
            "warmup or more steps, or change lr"
        )


def _objective(architecture: Architecture, network: nn.Module) -> Objective:
    (backbone,) = architecture.branches
    own = backbone.objective(network)
    return RestorationObjective(network) if own is None else OwnObjective(own)
