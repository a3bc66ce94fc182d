"""A loss with a weight that is trained itself, for tests."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lowvision.plugins.losses import Critic


class Judge(nn.Module, Critic):
    """A critic of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, restored: Tensor, gt: Tensor) -> Tensor:
        return (self.weight * restored).mean()

    def objective(self, restored: Tensor, gt: Tensor) -> Tensor:
        return self.weight * (restored - gt).mean()
