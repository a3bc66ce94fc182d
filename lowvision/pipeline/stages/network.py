"""Train one network on tiles, for the stages `base`, `distil` and `branches`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from lowvision.models import weights
from lowvision.models.architecture import Architecture
from lowvision.pipeline.stages import validation
from lowvision.pipeline.stages.job import Job
from lowvision.plugins.losses import ImageLoss
from lowvision.training import batch_norm
from lowvision.training.log import Value
from lowvision.training.loop import TrainingSpec, fit
from lowvision.training.loss_sum import LossSum
from lowvision.training.objective import Objective, OwnObjective, RestorationObjective
from lowvision.training.options import Fit

MakeObjective = Callable[[nn.Module, ImageLoss], nn.Module]
"""Returns the training objective of a network, given the sum of the losses of a stage."""
LEAST_GAIN = 0.02
"""Gain over the input in dB, below which a network is reported as useless."""


def initialised(job: Job, architecture: Architecture, path: Path | None) -> nn.Module:
    """Build a network with the weights of a file; without a file, with random weights of the seed."""
    # Every network starts from the same seed, so that removing one does not change the weights of another.
    torch.manual_seed(job.recipe.seed)
    return weights.load_network(path, architecture, job.registry) if path else architecture.build_network()


def train(
    job: Job,
    stage: str,
    architecture: Architecture,
    options: Fit,
    samples: Dataset[tuple[Tensor, Tensor]],
    network: nn.Module,
    objective: MakeObjective | None = None,
) -> dict[str, Value]:
    """Train a network on `samples`, write the weights to the folder of the stage, and return its last metrics.

    The network is validated, and its weights are written, in the deployed form.
    objective: as `Backbone.objective`, and used in its place.
    """
    network = batch_norm.shared(network, job.accelerator)

    def keep(path: Path, trained: nn.Module, measured: dict[str, Value]) -> None:
        job.save(path, trained, architecture, measured)

    selection = job.selection(options)
    validator = validation.of_deployed(validation.of_network(job, selection), architecture)
    image_loss = job.image_loss(options)
    training_objective = _objective(architecture, network, image_loss, objective)
    spec = TrainingSpec(
        stage,
        training_objective,
        network,
        validator,
        keep,
        image_loss,
        selection,
        validation.pictures(job),
        job.degrade,
    )
    job.claim_training(job.folder / stage)
    if not options.steps:
        return _keep_initial(job, spec)
    metrics = fit(spec, samples, options, job.accelerator, job.folder / stage, job.log, job.recipe.data.workers)
    _warn_if_useless(job, stage, metrics)
    return metrics


def _keep_initial(job: Job, spec: TrainingSpec) -> dict[str, Value]:
    """Write a network as it is, the result of a training of no steps, and return its metrics."""
    network = spec.network.to(job.accelerator.device)
    metrics = spec.validator(network) if spec.validator else {}
    if job.accelerator.is_main_process:
        for name in ("best", "last"):
            spec.keep(job.folder / spec.stage / f"{name}.safetensors", network, metrics)
    job.accelerator.wait_for_everyone()
    return metrics


def _warn_if_useless(job: Job, stage: str, metrics: Mapping[str, Value]) -> None:
    """Warn if a network with a skip has died early: it returns its input, so that its loss looks small."""
    gain = metrics.get("gain")
    if isinstance(gain, float) and gain < LEAST_GAIN:
        minutes = " (in `lowvision accelerate`: more --minutes)" if stage.startswith("distil") else ""
        job.log.info(
            f"{stage}: on data.valid only {gain:+.2f} dB against the input, the network has learned nothing useful; "
            f"add warmup or steps{minutes}, change lr, or correct the initial weights (lowvision.layers.init_kaiming_)"
        )


def _objective(
    architecture: Architecture, network: nn.Module, image_loss: LossSum, given: MakeObjective | None
) -> Objective:
    if given:
        return OwnObjective(given(network, image_loss))
    (backbone,) = architecture.branches
    own = backbone.objective(network, image_loss)
    return RestorationObjective(network, image_loss) if own is None else OwnObjective(own, backbone.trains_all)
