"""The losses of ClassSR's classifier for any number of branches M; p is (B,M), each row sums to 1."""

from __future__ import annotations

import torch
from torch import Tensor


def class_loss(p: Tensor) -> Tensor:
    """Return how undecided the classifier is: 0 if certain, M-1 if uniform (Kong et al. 2021, eq. 3, shifted)."""
    distances = (p[:, :, None] - p[:, None, :]).abs().sum(dim=(1, 2)) / 2  # (B,), each pair counted once
    return (p.shape[1] - 1 - distances).mean()


def average_loss(sums: Tensor, count: int, shares: Tensor) -> Tensor:
    """Return the distance of the branch loads from target shares: 0 at the target, 1 at most (eq. 4, normalised).

    sums (M,): each branch's probability summed over the `count` tiles of the *global* batch; shares (M,) sum to 1.
    """
    if len(sums) == 1:
        return sums.sum() * 0.0
    return (sums - count * shares).abs().sum() / _maximum(count, shares)


def average_pull(sums: Tensor, count: int, shares: Tensor) -> Tensor:
    """Return the gradient (M,) of `average_loss` with respect to `sums`.

    A process or micro-batch that sees a part of the batch uses it to add its exact part of the gradient.
    """
    if len(sums) == 1:
        return torch.zeros_like(sums)
    return (sums - count * shares).sign() / _maximum(count, shares)


def _maximum(count: int, shares: Tensor) -> Tensor:
    return 2 * (1 - shares.min()) * count
