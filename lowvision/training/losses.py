"""The three losses of the method, for any number of branches M; p is (B,M), each row sums to 1."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def image_loss(output: Tensor, gt: Tensor) -> Tensor:
    """Mean absolute error over all pixels (the paper's L1)."""
    return functional.l1_loss(output, gt)


def class_loss(p: Tensor) -> Tensor:
    """How undecided the classifier is: 0 when certain, M-1 when uniform (Kong et al. 2021, eq. 3, shifted)."""
    distances = (p[:, :, None] - p[:, None, :]).abs().sum(dim=(1, 2)) / 2  # (B,), every pair counted once
    return (p.shape[1] - 1 - distances).mean()


def average_loss(sums: Tensor, count: int, shares: Tensor) -> Tensor:
    """How far the branches' loads are from the wanted shares: 0 at them, 1 at the farthest (eq. 4, normalised).

    sums (M,): each branch's probability summed over the `count` tiles of the *global* batch; shares (M,) sum to 1.
    """
    if len(sums) == 1:
        return sums.sum() * 0.0
    return (sums - count * shares).abs().sum() / _farthest(count, shares)


def average_pull(sums: Tensor, count: int, shares: Tensor) -> Tensor:
    """(M,) the gradient of `average_loss` with respect to `sums`.

    With it a process, or a micro-batch, that sees a part of the batch can add its exact part of the gradient.
    """
    if len(sums) == 1:
        return torch.zeros_like(sums)
    return (sums - count * shares).sign() / _farthest(count, shares)


def _farthest(count: int, shares: Tensor) -> Tensor:
    return 2 * (1 - shares.min()) * count
