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
from lowvision.training.loop import TrainingSpec, Validator, fit
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
    if not options.steps:
        return keep(job, stage, architecture, options, network)
    network = batch_norm.shared(network, job.accelerator)

    def write(path: Path, trained: nn.Module, metrics: dict[str, Value]) -> None:
        job.save(path, trained, architecture, metrics)

    image_loss = job.image_loss(options)
    spec = TrainingSpec(
        stage,
        _objective(architecture, network, image_loss, objective),
        network,
        _validator(job, architecture, options),
        write,
        image_loss,
        job.selection(options),
        validation.pictures(job),
        job.degrade,
    )
    job.claim_training(job.folder / stage)
    metrics = fit(spec, samples, options, job.accelerator, job.folder / stage, job.log, job.recipe.data.workers)
    _warn_if_useless(job, stage, metrics)
    return metrics


def keep(job: Job, stage: str, architecture: Architecture, options: Fit, network: nn.Module) -> dict[str, Value]:
    """Write a network as it is, the result of a training of no steps, and return its metrics."""
    job.claim_training(job.folder / stage)
    metrics = measured(job, architecture, options, network)
    if job.accelerator.is_main_process:
        for name in ("best", "last"):
            job.save(job.folder / stage / f"{name}.safetensors", network, architecture, metrics)
    job.accelerator.wait_for_everyone()
    return metrics


def measured(job: Job, architecture: Architecture, options: Fit, network: nn.Module) -> dict[str, Value]:
    """Return the metrics of a network on data.valid, as training measures them; none without data.valid."""
    validator = _validator(job, architecture, options)
    return validator(network.to(job.accelerator.device).eval()) if validator else {}


def _validator(job: Job, architecture: Architecture, options: Fit) -> Validator | None:
    return validation.of_deployed(validation.of_network(job, job.selection(options)), architecture)


def _warn_if_useless(job: Job, stage: str, metrics: Mapping[str, Value]) -> None:
    """Warn if a network with a skip has died early: it returns its input, so that its loss looks small."""
    gain = metrics.get("gain")
    if isinstance(gain, float) and gain < LEAST_GAIN:
        if stage.startswith("distil"):
            way_out = "add steps (`lowvision accelerate`: more --minutes), change lr, or choose another student"
        else:
            way_out = "add warmup or steps, change lr, or correct the initial weights (lowvision.layers.init_kaiming_)"
        job.log.info(
            f"{stage}: on data.valid only {gain:+.2f} dB against the input, the network has learned nothing useful; "
            f"{way_out}"
        )


def _objective(
    architecture: Architecture, network: nn.Module, image_loss: LossSum, given: MakeObjective | None
) -> Objective:
    if given:
        return OwnObjective(given(network, image_loss))
    (backbone,) = architecture.branches
    own = backbone.objective(network, image_loss)
    return RestorationObjective(network, image_loss) if own is None else OwnObjective(own, backbone.trains_all)
