"""The contract of training losses, and of losses that are trained themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import Field

from lowvision.config.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from lowvision.plugins.contracts import Task

ImageLoss: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"
"""A function from restored images (B,C,H,W) and ground truth to a scalar: the weighted sum of a stage's losses."""


class Loss(Options, ABC):
    """A training loss between restored images and ground truth; never a part of the trained network."""

    weight: float = Field(default=1.0, gt=0)
    """Factor of this loss in the sum of the losses of a stage."""

    @abstractmethod
    def build(self, task: Task) -> nn.Module:
        """Return a module: (restored (B,C,H,W), gt (B,C,H,W)) -> a scalar, the mean over the B images.

        Both are float32, nominally in [0,1]; restored may exceed it. The module is in eval() and its parameters are
        constant, unless it is a `Critic`. The core multiplies the result by `weight`.
        """

    def fit_options(self) -> dict[str, Any]:
        """Return the options in which the training of a `Critic` differs from the stage's, e.g. {"lr": 1e-4}."""
        return {}


class Critic(ABC):
    """Mixin for the nn.Module of a loss that is trained alongside the network, e.g. a discriminator.

    Its forward is the loss of the network, and leaves its parameters unchanged. After each update of the network it is
    updated once, by a separate optimizer and schedule, which checkpoints contain.
    """

    @abstractmethod
    def objective(self, restored: Tensor, gt: Tensor) -> Tensor:
        """Return the scalar that its own parameters minimise; restored (B,C,H,W) has no gradient."""
