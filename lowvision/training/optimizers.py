"""Optimizers and learning-rate schedules of the training stages, from timm."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from lowvision.errors import RecipeError, summary_of
from lowvision.training.options import Fit

FUSED = ("adam", "adamw")
"""Optimizers of which PyTorch has a fused version."""
FUSING = ("cuda", "cpu")
"""Devices on which it is faster: on one core of a CPU, a step of Adam over CARN takes a quarter of the time."""
ONE_CYCLE_START = 25.0
"""Peak over initial learning rate of the schedule `one_cycle` (torch's OneCycleLR)."""


def make_optimizer(parameters: list[nn.Parameter], options: Fit, device: str = "cpu") -> torch.optim.Optimizer:
    """Create the optimizer of the options; Adam is fused if `fused` is no argument of it.

    Raises RecipeError for an unknown name or arguments that it rejects.
    """
    from timm.optim import create_optimizer_v2

    name = options.optimizer_name
    fused = {"fused": True} if device in FUSING and name in FUSED else {}
    try:
        return create_optimizer_v2(parameters, name, options.lr, **{**fused, **_arguments(options)})
    except (TypeError, ValueError, AssertionError, LookupError, RuntimeError) as error:
        raise RecipeError(
            f"optimizer '{name}' cannot be created ({summary_of(error)}); give the name of an optimizer in timm, "
            "alone or as {NAME: {argument: value}}"
        ) from None


def _arguments(options: Fit) -> dict[str, Any]:
    """Return all arguments except the learning rate. Raises ValueError for a wrong number of betas."""
    arguments = {"weight_decay": options.weight_decay, **options.optimizer_arguments}
    expected = _number_of_betas(options.optimizer_name)
    if "betas" not in arguments and ("betas" in options.model_fields_set or expected == 2):
        arguments["betas"] = options.betas
    number_of_betas = len(arguments.get("betas", ()))
    if expected and number_of_betas and number_of_betas != expected:  # some optimizers fail in their first step only
        raise ValueError(f"it needs {expected} betas, not {number_of_betas}")
    return arguments


def _number_of_betas(name: str) -> int:
    """Return the number of betas that an optimizer has by default; 0 if it has none."""
    from timm.optim import get_optimizer_info

    cls = get_optimizer_info(name.lower().rpartition("_")[2]).opt_class
    signature = inspect.signature(cls) if callable(cls) else None
    betas = signature.parameters.get("betas") if signature else None
    return len(betas.default) if betas is not None and isinstance(betas.default, tuple | list) else 0


def make_schedule(optimizer: torch.optim.Optimizer, options: Fit) -> Callable[[int], None]:
    """Return a function that sets the learning rate of a step.

    It counts global updates: a scheduler prepared by accelerate would step once per process.
    """
    if options.schedule == "one_cycle":
        return lambda step: _scale_lr(optimizer, _one_cycle(step, options))
    from timm.scheduler import CosineLRScheduler, MultiStepLRScheduler

    warmup: dict[str, Any] = {
        "warmup_t": options.warmup,
        "warmup_lr_init": options.lr / max(options.warmup, 1),
        "t_in_epochs": False,
    }
    if options.schedule == "multistep":
        # timm compares with the next step.
        steps = [math.ceil(share * options.steps) + 1 for share in options.milestones]
        return MultiStepLRScheduler(optimizer, decay_t=steps, decay_rate=options.gamma, **warmup).step_update
    cycles = options.cycles if options.schedule == "restarts" else 1
    return CosineLRScheduler(
        optimizer,
        t_initial=-(-options.steps // cycles),
        cycle_limit=cycles,
        lr_min=options.lr if options.schedule == "constant" else options.min_lr,
        **warmup,
    ).step_update


def _scale_lr(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set the learning rate to a multiple of the initial one."""
    for group in optimizer.param_groups:
        group["lr"] = factor * group.setdefault("initial_lr", group["lr"])


def _one_cycle(step: int, options: Fit) -> float:
    """Return the learning rate over its peak: rising to 1 at `peak_at`, then falling, both along a cosine."""
    peak = max(options.peak_at * (options.steps - 1), 1e-9)
    last = max(options.steps - 1 - peak, 1e-9)
    start, end = 1 / ONE_CYCLE_START, options.min_lr / options.lr
    low, progress = (start, step / peak) if step <= peak else (end, 1 - (step - peak) / last)
    return low + (1 - low) * (1 - math.cos(math.pi * min(max(progress, 0), 1))) / 2
