"""The image loss of a stage: the weighted sum of the losses that its recipe lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lowvision.errors import TrainingError
from lowvision.plugins.losses import Critic


@dataclass(frozen=True)
class Term:
    """One loss of the sum."""

    name: str
    weight: float
    module: nn.Module
    """Maps restored and gt (B,C,H,W) to a scalar."""
    fit_options: dict[str, Any]
    """Options of the stage that differ in the training of a `Critic`."""


class LossSum:
    """A weighted sum of losses between restored images and ground truth.

    It is no module, so that neither the weights nor the checkpoints of a network contain parts of it.
    """

    def __init__(self, terms: Sequence[Term]):
        self.terms = tuple(terms)
        self.has_critics = any(True for _ in self.critics())
        self.seen: list[tuple[Tensor, Tensor]] = []
        """Restored images, without gradient, and gt since the last update of the critics; empty without critics."""
        for term in self.terms:
            term.module.train(isinstance(term.module, Critic)).requires_grad_(False)

    def critics(self) -> Iterator[Term]:
        """Yield the terms that are trained themselves."""
        return (term for term in self.terms if isinstance(term.module, Critic))

    def __call__(self, restored: Tensor, gt: Tensor) -> Tensor:
        """Return the sum for restored and gt (B,C,H,W), in float32 for any precision of restored."""
        return summed(self.by_name(restored, gt))

    def by_name(self, restored: Tensor, gt: Tensor) -> dict[str, Tensor]:
        """Return the weighted losses, `image` if there is one, otherwise `image/NAME` for each."""
        if self.has_critics and restored.requires_grad:
            self.seen.append((restored.detach().float(), gt))
        if len(self.terms) == 1:
            return {"image": self._weighted(self.terms[0], restored, gt)}
        return {f"image/{term.name}": self._weighted(term, restored, gt) for term in self.terms}

    @staticmethod
    def _weighted(term: Term, restored: Tensor, gt: Tensor) -> Tensor:
        loss: Tensor = term.module(restored.float(), gt)
        require_scalar(term.name, loss)
        return loss if term.weight == 1 else term.weight * loss


def l1() -> LossSum:
    """Return the sum of the default losses, L1 alone."""
    return LossSum([Term("l1", 1.0, nn.L1Loss(), {})])


def summed(losses: Mapping[str, Tensor]) -> Tensor:
    """Return the sum of losses by name. Raises TrainingError if one is no scalar."""
    for name, loss in losses.items():
        require_scalar(name, loss)
    return torch.stack(list(losses.values())).sum()


def require_scalar(name: str, loss: object) -> None:
    """Raise TrainingError, with the name of the loss and its shape, unless it is a scalar."""
    if isinstance(loss, Tensor) and loss.dim() == 0:
        return
    returned = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
    raise TrainingError(
        f"loss '{name}': returns {returned}; its plugin must return a scalar tensor, the mean over the images, e.g. by "
        ".mean() or reduction='mean'"
    )
