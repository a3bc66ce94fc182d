"""Build the losses of a training stage, and find what is wrong with them before a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from lowvision.errors import LowvisionError, RecipeError, summary_of
from lowvision.plugins.choices import distinct
from lowvision.plugins.contracts import Task
from lowvision.plugins.losses import Critic, Loss
from lowvision.plugins.registry import Registry
from lowvision.training import critics
from lowvision.training.loss_sum import LossSum, Term
from lowvision.training.optimizers import make_optimizer
from lowvision.training.options import Fit


def build(losses: Sequence[Loss], task: Task, registry: Registry, device: torch.device) -> LossSum:
    """Build the sum of losses on a device. Raises RecipeError if one cannot be built, e.g. without its file."""
    names = distinct([registry.name_of(loss) for loss in losses])
    return LossSum([_term(name, loss, task, device) for name, loss in zip(names, losses, strict=True)])


def issues(stage: str, options: Fit, task: Task, registry: Registry) -> Iterator[str]:
    """Yield what is wrong with the losses of a stage and with the training of critics among them."""
    try:
        total = build(options.loss, task, registry, torch.device("cpu"))
        for term in total.critics():
            own = critics.options_of(term.name, options, term.fit_options)
            make_optimizer(list(term.module.requires_grad_(True).parameters()), own)
    except LowvisionError as error:
        yield f"stages.{stage}.{error}"
        return
    if all(isinstance(term.module, Critic) for term in total.terms):
        yield f"stages.{stage}.loss: has no loss between images; add one, e.g. l1, to the list"


def _term(name: str, loss: Loss, task: Task, device: torch.device) -> Term:
    try:
        module = loss.build(task)
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        raise RecipeError(f"loss: {name} cannot be built ({summary_of(error)})") from None
    return Term(name, loss.weight, module.to(device), loss.fit_options())
