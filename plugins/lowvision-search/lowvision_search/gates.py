"""Gates: what a network has not decided yet, as probabilities of a few alternatives that training makes sparser."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lowvision_search.sparsestmax import largest_radius, sparsestmax

UNDECIDED = 1e-3
"""Standard deviation of the logits at the start: they must differ, else a radius would not say where to go."""


class Gate(nn.Module):
    """Probabilities of alternatives."""

    def __init__(self, alternatives: int):
        super().__init__()
        self.logits = nn.Parameter(torch.empty(alternatives))
        nn.init.normal_(self.logits, std=UNDECIDED)

    def forward(self, closed: Tensor) -> Tensor:
        """(K,) float32, summing to 1. closed: (), from 0, as sparse as the logits are, to 1, one-hot."""
        return sparsestmax(self.logits.float(), closed * largest_radius(len(self.logits)))


class Width(nn.Module):
    """How many of the channels there are: the first quarter, half, three quarters, or all."""

    def __init__(self, channels: int, parts: int):
        super().__init__()
        self.gate = Gate(parts)
        self.part = channels // parts

    def forward(self, closed: Tensor) -> tuple[Tensor, Tensor]:
        """(channels,) how open each is, and () how many are expected.

        A channel is as open as the widths that have it are probable: the gates fall from the first to the last.
        """
        p = self.gate(closed)
        opened = p.flip(0).cumsum(0).flip(0)  # (parts,)
        return opened.repeat_interleave(self.part), self.part * opened.sum()
