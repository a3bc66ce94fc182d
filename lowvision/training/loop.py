"""The one training loop: every stage that trains runs it, under Accelerate, and resumes it bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from lowvision.data.tiles import DistributedBatchSampler
from lowvision.errors import RecipeError, RunError, TrainingError
from lowvision.training import checkpoint, collapse
from lowvision.training.log import Log, Value
from lowvision.training.meter import Meter
from lowvision.training.objective import Objective
from lowvision.training.options import Fit

Validator = Callable[[nn.Module], dict[str, Value]]
"""From a network to facts on `data.valid`, `psnr` among them; every process calls it."""


@dataclass(frozen=True)
class TrainingSpec:
    """What a stage trains, how it is judged and how it is kept."""

    stage: str
    """For messages and metrics, such as `base` or `branches/1`."""
    objective: Objective
    """What is made small."""
    network: nn.Module
    """The part of the objective that is judged and kept."""
    judge: Validator | None
    """None: there is no data to judge by."""
    keep: Callable[[Path, nn.Module, dict[str, Value]], None]
    """Writes the network and what was measured of it to a weights file."""


@dataclass
class TrainState:
    """How far a stage has come."""

    step: int = 0
    best: float = -math.inf
    collapsed_since: int | None = None
    facts: dict[str, Value] = field(default_factory=dict)
    """The last judgement."""

    def progress(self, options: Fit) -> float:
        """From 0 at the first update to 1 at the last."""
        return self.step / max(options.steps - 1, 1)

    def facts_to_keep(self) -> dict[str, Any]:
        """All but the step, which a checkpoint keeps by itself."""
        return {"best": self.best, "collapsed_since": self.collapsed_since, "facts": self.facts}


def fit(
    spec: TrainingSpec,
    samples: Dataset[tuple[Tensor, Tensor]],
    options: Fit,
    accelerator: Accelerator,
    folder: Path,
    log: Log,
    workers: int = 0,
) -> dict[str, Value]:
    """Train, and leave `best.safetensors` and `last.safetensors` in `folder`; what its judge said of the last, if any.

    Goes on from the newest checkpoint in `folder`. Raises TrainingError when the loss is not finite or the
    classifier collapses; the last good checkpoint is kept.
    """
    network = spec.network.to(memory_format=torch.channels_last).to(accelerator.device)
    average = _average(network, options)
    optimizer = make_optimizer([p for p in spec.objective.parameters() if p.requires_grad], options)
    schedule = _schedule(optimizer, options)
    accelerator.ddp_handler = DistributedDataParallelKwargs(
        find_unused_parameters=spec.objective.find_unused_parameters
    )
    objective, optimizer = accelerator.prepare(spec.objective, optimizer)
    course = _resume(accelerator, folder, average, spec.stage, log)
    objective.train()
    judged = network if average is None else average.module

    meter = Meter()
    with log.progress(spec.stage, options.steps):
        for lq, gt in _batches(samples, options, course.step, accelerator, workers):
            meter.got_tiles()
            schedule(course.step)
            meter.add(update(objective, optimizer, lq, gt, course.progress(options), options, accelerator))
            course.step += 1
            if average is not None:
                average.update(network, step=course.step)
            if _is_due(course.step, options, options.log_every, options.checkpoint_every):
                _measure(meter, course, spec, optimizer, accelerator, log, options)
            if _is_due(course.step, options, options.valid_every):
                _judge(judged, course, spec, objective, accelerator, folder, log)
            if _is_due(course.step, options, options.checkpoint_every):
                _require_finite(network, spec.stage, course.step)
                checkpoint.save(accelerator, folder / "checkpoints", course.step, course.facts_to_keep(), average)
            meter.lap()
    if accelerator.is_main_process:
        spec.keep(folder / "last.safetensors", judged, course.facts)
    accelerator.wait_for_everyone()
    accelerator.free_memory()
    return course.facts


def _average(network: nn.Module, options: Fit) -> Any | None:
    if options.ema is None:
        return None
    from timm.utils import ModelEmaV3

    return ModelEmaV3(network, decay=options.ema, use_warmup=True)


def make_optimizer(parameters: list[nn.Parameter], options: Fit) -> torch.optim.Optimizer:
    """The optimizer that the options name. Raises RecipeError where timm knows none of that name."""
    from timm.optim import create_optimizer_v2

    try:
        return create_optimizer_v2(parameters, options.optimizer, options.lr, options.weight_decay, betas=options.betas)
    except (TypeError, ValueError, AssertionError, LookupError) as error:
        raise RecipeError(f"optimizer '{options.optimizer}' cannot be made: {error}") from None


def _schedule(optimizer: torch.optim.Optimizer, options: Fit) -> Callable[[int], None]:
    """A function that sets the learning rate for a step."""
    from timm.scheduler import CosineLRScheduler

    cosine = CosineLRScheduler(
        optimizer,
        t_initial=options.steps,
        lr_min=options.min_lr if options.schedule == "cosine" else options.lr,
        warmup_t=options.warmup,
        warmup_lr_init=options.lr / max(options.warmup, 1),
        t_in_epochs=False,
    )
    # It counts global updates: a scheduler prepared by accelerate would step once a process.
    return cosine.step_update


def _resume(accelerator: Accelerator, folder: Path, average: Any | None, stage: str, log: Log) -> TrainState:
    newest = checkpoint.latest(folder / "checkpoints")
    if newest is None:
        log.forget(stage, after=0)
        return TrainState()
    course = TrainState(**checkpoint.restore(accelerator, newest, average))
    log.forget(stage, after=course.step)
    log.say(f"{stage}: goes on from step {course.step}")
    return course


def _batches(
    samples: Dataset[tuple[Tensor, Tensor]], options: Fit, first_step: int, accelerator: Accelerator, workers: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """This process's share of every step's tiles, on its device."""
    processes = accelerator.num_processes
    if options.batch % (processes * (options.micro_batch or 1)):
        raise RunError(
            f"batch {options.batch} cannot be shared by {processes} processes in micro-batches of "
            f"{options.micro_batch or 1}; make it a multiple of both"
        )
    shares = DistributedBatchSampler(first_step, options.steps, options.batch, accelerator.process_index, processes)
    loader = DataLoader(
        samples,
        batch_sampler=shares,
        num_workers=workers,
        pin_memory=accelerator.device.type == "cuda",
        generator=torch.Generator(),  # else it would draw from torch's own, which a resumed run has put back already
    )
    for pair in loader:
        lq, gt = (tensor.to(accelerator.device, non_blocking=True) for tensor in pair)
        yield _channels_last(lq), _channels_last(gt)


def _channels_last(tensor: Tensor) -> Tensor:
    """Images in the format in which convolutions are fast; anything else as it is."""
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


def update(
    objective: nn.Module,
    optimizer: Any,
    lq: Tensor,
    gt: Tensor,
    progress: float,
    options: Fit,
    accelerator: Accelerator,
) -> dict[str, Tensor]:
    """One update of the weights from this process's share of a batch; what it measured."""
    part = options.micro_batch or len(lq)
    parts = list(zip(lq.split(part), gt.split(part), strict=True))
    global_statistics = _survey(objective, [lq_part for lq_part, _ in parts], accelerator)
    measured: dict[str, Tensor] = {}
    for n, (lq_part, gt_part) in enumerate(parts, start=1):
        with nullcontext() if n == len(parts) else accelerator.no_sync(objective):
            losses, facts = objective(lq_part, gt_part, progress, global_statistics, options.batch)
            loss = torch.stack(list(losses.values())).sum()
            accelerator.backward(loss / len(parts))
        for name, value in {"loss": loss, **losses, **facts}.items():
            measured[name] = measured.get(name, 0) + value.detach() / len(parts)
    if options.clip:
        accelerator.clip_grad_norm_(objective.parameters(), options.clip)
    optimizer.step()
    optimizer.zero_grad()
    return measured


@torch.no_grad()
def _survey(objective: nn.Module, parts: list[Tensor], accelerator: Accelerator) -> Tensor | None:
    """What the objective must know of the global batch; None where one pass of one process sees all of it."""
    if len(parts) == 1 and accelerator.num_processes == 1:
        return None
    with accelerator.autocast():
        answers = [accelerator.unwrap_model(objective).global_statistics(part) for part in parts]
    if answers[0] is None:
        return None
    return accelerator.reduce(torch.stack(answers).sum(dim=0), "sum")


def _measure(
    meter: Meter,
    course: TrainState,
    spec: TrainingSpec,
    optimizer: Any,
    accelerator: Accelerator,
    log: Log,
    options: Fit,
) -> None:
    facts = meter.read(accelerator)
    if not math.isfinite(facts["loss"]):  # type: ignore[arg-type]  # `loss` is one number
        raise _not_finite(spec.stage, "loss", course.step)
    log.measure(spec.stage, course.step, {**facts, "lr": optimizer.param_groups[0]["lr"]})
    course.collapsed_since = collapse.since(facts, course.step, course.collapsed_since)
    collapse.stop_if_lasting(spec.stage, course.step, course.collapsed_since, options.steps)


def _require_finite(network: nn.Module, stage: str, step: int) -> None:
    # The loss is measured before the update, so it cannot tell that the update itself went wrong.
    if not all(parameter.isfinite().all() for parameter in network.parameters()):
        raise _not_finite(stage, "network", step)


def _not_finite(stage: str, what: str, step: int) -> TrainingError:
    return TrainingError(
        f"{stage}: the {what} is not finite at step {step}; lower lr, or set clip; the last good checkpoint is kept"
    )


def _judge(
    network: nn.Module, course: TrainState, spec: TrainingSpec, objective: nn.Module, accelerator: Accelerator,
    folder: Path, log: Log,
) -> None:  # fmt: skip  # one line a thought
    if spec.judge is None:
        return
    objective.eval()
    course.facts = spec.judge(network)
    objective.train()
    log.measure(spec.stage, course.step, {f"valid_{name}": value for name, value in course.facts.items()})
    psnr = course.facts["psnr"]
    assert isinstance(psnr, float)
    if psnr > course.best:
        course.best = psnr
        if accelerator.is_main_process:
            spec.keep(folder / "best.safetensors", network, course.facts)
    accelerator.wait_for_everyone()


def _is_due(step: int, options: Fit, *periods: int) -> bool:
    """Whether one of the periods ends at this step, or the stage does."""
    return step == options.steps or any(step % period == 0 for period in periods)
