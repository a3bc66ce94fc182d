"""Train the losses of a stage that are trained themselves, e.g. discriminators, alongside its network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from accelerate import Accelerator
from pydantic import ValidationError
from torch import Tensor, nn

from lowvision.config.validation import from_error
from lowvision.errors import RecipeError
from lowvision.plugins.losses import Critic
from lowvision.system import devices
from lowvision.training.loss_sum import LossSum, Term
from lowvision.training.optimizers import make_optimizer, make_schedule
from lowvision.training.options import Fit


class CriticObjective(nn.Module):
    """The loss of a critic's own training as a module, so that a distributed wrapper only needs `forward`."""

    def __init__(self, critic: nn.Module):
        super().__init__()
        self.critic = critic

    def forward(self, restored: Tensor, gt: Tensor) -> Tensor:
        return cast(Critic, self.critic).objective(restored, gt)


@dataclass(frozen=True)
class Training:
    """A critic with its objective, optimizer and schedule; checkpoints contain all but the schedule."""

    name: str
    options: Fit
    objective: nn.Module
    optimizer: Any
    schedule: Callable[[int], None]

    @contextmanager
    def unfrozen(self) -> Iterator[None]:
        """Let gradients reach the parameters, which are constant while the network is trained."""
        self.objective.requires_grad_(True)
        try:
            yield
        finally:
            self.objective.requires_grad_(False)


def prepare(image_loss: LossSum | None, options: Fit, accelerator: Accelerator) -> tuple[Training, ...]:
    """Prepare the critics of an image loss; call it after the network of the stage is prepared."""
    critics = image_loss.critics() if image_loss else ()
    return tuple(_prepared(term, options, accelerator) for term in critics)


def options_of(name: str, options: Fit, changes: dict[str, Any]) -> Fit:
    """Return the options of a critic's training: those of the stage with some changed. Raises RecipeError."""
    try:
        return options.replace(**changes)
    except ValidationError as error:
        issues = from_error(error, type(options), dict(options))
        text = "; ".join(f"{'.'.join(map(str, issue.path))} {issue.message}".strip() for issue in issues)
        raise RecipeError(f"loss: {name}: {text}") from None


def _prepared(term: Term, options: Fit, accelerator: Accelerator) -> Training:
    own = options_of(term.name, options, term.fit_options)
    module = term.module.to(memory_format=devices.layout(accelerator.device)).to(accelerator.device)
    module.requires_grad_(True)  # a distributed wrapper and the optimizer skip constant parameters
    optimizer = make_optimizer(list(module.parameters()), own, accelerator.device.type)
    schedule = make_schedule(optimizer, own)
    objective, optimizer = accelerator.prepare(CriticObjective(module), optimizer)
    objective.requires_grad_(False)
    return Training(term.name, own, objective, optimizer, schedule)


def update(
    critics: tuple[Training, ...], image_loss: LossSum | None, step: int, accelerator: Accelerator
) -> dict[str, Tensor]:
    """Update each critic once on the images of this step's network update; return their losses by name."""
    if image_loss is None or not critics:
        return {}
    images, image_loss.seen = image_loss.seen, []
    return {f"critic/{critic.name}": _update(critic, images, step, accelerator) for critic in critics}


def _update(critic: Training, images: list[tuple[Tensor, Tensor]], step: int, accelerator: Accelerator) -> Tensor:
    mean = torch.zeros((), device=accelerator.device)
    if not images:
        return mean
    critic.schedule(step)
    with critic.unfrozen():
        for number, (restored, gt) in enumerate(images, start=1):
            with nullcontext() if number == len(images) else accelerator.no_sync(critic.objective):
                loss = critic.objective(restored, gt)
                accelerator.backward(loss / len(images))
            mean += loss.detach() / len(images)
        if critic.options.clip:
            accelerator.clip_grad_norm_(critic.objective.parameters(), critic.options.clip)
        critic.optimizer.step()
        critic.optimizer.zero_grad()
    return mean
