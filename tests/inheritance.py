"""Checks of the weights that a smaller network inherits from a larger one."""

from __future__ import annotations

import torch
from torch import Tensor

CLOSE = 1e-6


def is_scaled_part(part: Tensor, whole: Tensor) -> bool:
    """Return True if all values of `part` are values of `whole` times one common factor of at least 1."""
    mine, theirs = part.detach().flatten().double(), whole.detach().flatten().double().unique()
    strongest = mine[mine.abs().argmax()]
    factors = [1.0] if strongest == 0 else (theirs / strongest).tolist()
    return any(_are_among(mine * factor, theirs) for factor in factors if 0 < factor <= 1 + CLOSE)


def _are_among(values: Tensor, ascending: Tensor) -> bool:
    above = torch.searchsorted(ascending, values).clamp(max=len(ascending) - 1)
    nearest = torch.minimum((ascending[above] - values).abs(), (ascending[(above - 1).clamp(min=0)] - values).abs())
    return bool((nearest <= CLOSE).all())
