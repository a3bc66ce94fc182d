"""Losses of single pixels."""

from __future__ import annotations

from torch import Tensor, nn


class Charbonnier(nn.Module):
    """The mean of sqrt(error^2 + eps^2)."""

    def __init__(self, eps: float):
        super().__init__()
        self.eps = eps

    def forward(self, restored: Tensor, gt: Tensor) -> Tensor:
        return ((restored - gt).square() + self.eps**2).sqrt().mean()
