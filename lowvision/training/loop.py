"""The training loop of every training stage, under Accelerate; a resumed run is bit-exact."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.utils.data import Dataset

from lowvision.data.undegraded import Undegraded
from lowvision.errors import TrainingError
from lowvision.system import devices
from lowvision.training import batch_norm, batches, checkpoint, collapse, compiling, critics
from lowvision.training.log import Log, Value
from lowvision.training.loss_sum import LossSum, summed
from lowvision.training.meter import Meter, Sums
from lowvision.training.objective import Objective
from lowvision.training.optimizers import make_optimizer, make_schedule
from lowvision.training.options import Fit
from lowvision.training.selection import BY_PSNR, Selection

Validator = Callable[[nn.Module], dict[str, Value]]
"""Maps a network to its metrics on `data.valid`, including `psnr`; every process calls it."""


@dataclass(frozen=True)
class TrainingSpec:
    """The network and objective of a stage, and their validation and saving."""

    stage: str
    """Name in messages and metrics, e.g. `base` or `branches/1`."""
    objective: Objective
    """The objective to minimise."""
    network: nn.Module
    """The part of the objective that is validated and saved."""
    validator: Validator | None
    """None: the recipe has no validation data."""
    keep: Callable[[Path, nn.Module, dict[str, Value]], None]
    """Writes the network and its metrics to a weights file."""
    image_loss: LossSum | None = None
    """The image loss of the objective, whose critics are trained too; None: it has none."""
    selection: Selection = BY_PSNR
    """Selects the best weights by a result of the validator."""
    pictures: Callable[[nn.Module], Mapping[str, Tensor]] | None = None
    """Returns tiles for observers after a validation; None: no observer receives them."""
    degrade: Callable[[Undegraded], tuple[Tensor, Tensor]] | None = None
    """Degrades clean tiles on the device; None: all samples are pairs."""


@dataclass
class TrainState:
    """Progress of a stage."""

    step: int = 0
    best: float = -math.inf
    collapsed_since: int | None = None
    metrics: dict[str, Value] = field(default_factory=dict)
    """Result of the last validation."""

    def progress(self, options: Fit) -> float:
        """Return the progress from 0 at the first update to 1 at the last."""
        return self.step / max(options.steps - 1, 1)

    def to_checkpoint(self) -> dict[str, Any]:
        """Return everything but the step, which the checkpoint stores itself."""
        return {"best": self.best, "collapsed_since": self.collapsed_since, "facts": self.metrics}

    @classmethod
    def from_checkpoint(cls, stored: dict[str, Any]) -> TrainState:
        """Rebuild the state from a checkpoint, whose key for the metrics is `facts`."""
        return cls(stored["step"], stored["best"], stored["collapsed_since"], stored["facts"])


def fit(
    spec: TrainingSpec,
    samples: Dataset[tuple[Tensor, Tensor]],
    options: Fit,
    accelerator: Accelerator,
    folder: Path,
    log: Log,
    workers: int | None = 0,
) -> dict[str, Value]:
    """Train, and write `best.safetensors` and `last.safetensors` to `folder`; return the last validation metrics.

    Resumes from the newest checkpoint in `folder`. Raises TrainingError if a loss is no scalar or not finite, or
    the classifier collapses; the last good checkpoint is kept.
    """
    network = spec.network.to(memory_format=devices.layout(accelerator.device)).to(accelerator.device)
    average = _average(network, options)
    objective, optimizer, schedule = _prepared(spec.objective, options, accelerator)
    trained_losses = critics.prepare(spec.image_loss, options, accelerator)
    _vary_randomness(spec.stage, accelerator)
    state = _resume(accelerator, folder, average, spec.stage, log)
    log.start(spec.stage)
    objective.train()
    validated = network if average is None else average.module

    meter = Meter(skips=accelerator.scaler is not None)
    compiled = compiling.compiled(network, spec.stage, options.compile)
    with log.progress(spec.stage, options.steps), devices.searched_convolutions(), compiled:
        for lq, gt in batches.of_process(samples, options, state.step, accelerator, workers, spec.degrade):
            meter.end_data_wait()
            schedule(state.step)
            metrics = update(objective, optimizer, lq, gt, state.progress(options), options, accelerator)
            meter.add(metrics | critics.update(trained_losses, spec.image_loss, state.step, accelerator))
            state.step += 1
            if average is not None:
                average.update(network, step=state.step)
            if _is_due(state.step, options, options.log_every, options.checkpoint_every):
                _measure(meter, state, spec, optimizer, accelerator, log, options)
            if _is_due(state.step, options, options.valid_every):
                _validate(validated, state, spec, objective, accelerator, folder, log)
            if _is_due(state.step, options, options.checkpoint_every):
                _require_finite(network, spec.stage, state.step)
                checkpoint.save(accelerator, folder / checkpoint.FOLDER, state.step, state.to_checkpoint(), average)
            if _is_stopped(state.step, spec.stage, options, accelerator, log):
                break
            meter.restart_timer()
    if accelerator.is_main_process:
        spec.keep(folder / "last.safetensors", validated, state.metrics)
    accelerator.wait_for_everyone()
    accelerator.free_memory()
    return state.metrics


def _prepared(
    objective: Objective, options: Fit, accelerator: Accelerator
) -> tuple[nn.Module, Any, Callable[[int], None]]:
    """Return the objective and its optimizer, both wrapped by Accelerate, and the schedule of the learning rate."""
    parameters = [p for p in objective.parameters() if p.requires_grad]
    optimizer = make_optimizer(parameters, options, accelerator.device.type)
    schedule = make_schedule(optimizer, options)
    unused = objective.find_unused_parameters
    # gradient_as_bucket_view: without a copy of all gradients.
    accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=unused, gradient_as_bucket_view=True)
    wrapped, optimizer = accelerator.prepare(objective, optimizer)
    return wrapped, optimizer, schedule


def _vary_randomness(stage: str, accelerator: Accelerator) -> None:
    """Give every process except the first other random numbers, e.g. for dropout, because their tiles differ, too.

    The seed follows from the stage alone, so that a resumed run, which skips earlier stages, draws the same numbers.
    """
    if rank := accelerator.process_index:
        torch.manual_seed(zlib.crc32(f"{stage} {rank}".encode()))


def _average(network: nn.Module, options: Fit) -> Any | None:
    if options.ema is None:
        return None
    from timm.utils import ModelEmaV3

    return ModelEmaV3(network, decay=options.ema, use_warmup=True)


def _resume(accelerator: Accelerator, folder: Path, average: Any | None, stage: str, log: Log) -> TrainState:
    newest = checkpoint.latest(folder / checkpoint.FOLDER, log.info)
    if newest is None:
        log.discard(stage, after=0)
        return TrainState()
    state = TrainState.from_checkpoint(checkpoint.restore(accelerator, newest, average))
    log.discard(stage, after=state.step)
    log.info(f"{stage}: resumes at step {state.step}")
    return state


def update(
    objective: nn.Module,
    optimizer: Any,
    lq: Tensor,
    gt: Tensor,
    progress: float,
    options: Fit,
    accelerator: Accelerator,
) -> dict[str, Tensor]:
    """Update the weights once from this process's share of a batch; return losses and metrics."""
    part = options.micro_batch or len(lq)
    parts = list(zip(lq.split(part), gt.split(part), strict=True))
    global_statistics = _global_statistics(objective, [lq_part for lq_part, _ in parts], accelerator)
    measured = Sums()
    for n, (lq_part, gt_part) in enumerate(parts, start=1):
        with nullcontext() if n == len(parts) else accelerator.no_sync(objective):
            losses, metrics = objective(lq_part, gt_part, progress, global_statistics, options.batch)
            loss = summed(losses)
            accelerator.backward(loss / len(parts))
        measured.add({"loss": loss, **losses, **metrics})
    if options.clip:
        accelerator.clip_grad_norm_(objective.parameters(), options.clip)
    optimizer.step()
    optimizer.zero_grad()
    sums = measured.vector()
    return measured.named(sums / len(parts) if len(parts) > 1 else sums)


@torch.no_grad()
def _global_statistics(objective: nn.Module, parts: list[Tensor], accelerator: Accelerator) -> Tensor | None:
    """Return the statistics of the global batch; None if one pass of one process sees the whole batch."""
    if len(parts) == 1 and accelerator.num_processes == 1:
        return None
    with accelerator.autocast(), batch_norm.frozen_statistics(objective):
        statistics = [accelerator.unwrap_model(objective).global_statistics(part) for part in parts]
    if statistics[0] is None:
        return None
    return accelerator.reduce(torch.stack(statistics).sum(dim=0), "sum")


def _measure(
    meter: Meter,
    state: TrainState,
    spec: TrainingSpec,
    optimizer: Any,
    accelerator: Accelerator,
    log: Log,
    options: Fit,
) -> None:
    metrics = meter.read(accelerator)
    if not math.isfinite(metrics["loss"]):  # type: ignore[arg-type]  # `loss` is one number
        raise _not_finite(spec.stage, "loss", state.step)
    log.measure(spec.stage, state.step, {**metrics, "lr": optimizer.param_groups[0]["lr"]})
    state.collapsed_since = collapse.since(metrics, state.step, state.collapsed_since)
    collapse.stop_if_lasting(spec.stage, state.step, state.collapsed_since, options.steps)


def _require_finite(network: nn.Module, stage: str, step: int) -> None:
    # The loss is measured before the update, so it does not show that the update itself failed.
    if not all(parameter.isfinite().all() for parameter in network.parameters()):
        raise _not_finite(stage, "network", step)


def _not_finite(stage: str, what: str, step: int) -> TrainingError:
    return TrainingError(
        f"{stage}: the {what} is not finite at step {step}; lower lr, or set clip; the last good checkpoint is kept"
    )


def _validate(
    network: nn.Module,
    state: TrainState,
    spec: TrainingSpec,
    objective: nn.Module,
    accelerator: Accelerator,
    folder: Path,
    log: Log,
) -> None:
    if spec.validator is None:
        return
    objective.eval()
    state.metrics = spec.validator(network)
    objective.train()
    log.measure(spec.stage, state.step, {f"valid_{name}": value for name, value in state.metrics.items()})
    if spec.pictures and accelerator.is_main_process:
        log.observers.on_images(spec.stage, state.step, spec.pictures(network))
    value = state.metrics[spec.selection.name]
    assert isinstance(value, float)
    if (score := spec.selection.score(value)) > state.best:
        state.best = score
        if accelerator.is_main_process:
            spec.keep(folder / "best.safetensors", network, state.metrics)
    accelerator.wait_for_everyone()


def _is_stopped(step: int, stage: str, options: Fit, accelerator: Accelerator, log: Log) -> bool:
    """Return True on every process if an observer, on the main one, has ended the stage."""
    if not _is_due(step, options, options.log_every, options.valid_every, options.checkpoint_every):
        return False  # metrics are new at these steps only
    if log.observers.stop:
        log.info(f"{stage}: ended at step {step} of {options.steps}: {log.observers.stop}")
    if accelerator.num_processes == 1:
        return bool(log.observers.stop)
    stops = torch.tensor(float(bool(log.observers.stop)), device=accelerator.device)
    return bool(accelerator.reduce(stops, "sum").item())


def _is_due(step: int, options: Fit, *periods: int) -> bool:
    """Return True if one of the periods or the stage ends at this step."""
    return step == options.steps or any(step % period == 0 for period in periods)
