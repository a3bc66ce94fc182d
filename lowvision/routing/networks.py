"""What an engine runs: a classifier and branches, whichever runtime stands behind them, and what each of them costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from lowvision.routing.container import RoutedContainer

Run = Callable[[Tensor], Tensor]
"""(B,C,h,w) -> (B,C,s*h,s*w) of a branch, or logits (B,M) of a classifier."""


@dataclass(frozen=True)
class Networks:
    """Functions of batches; several threads may call each of them at once."""

    classify: Run
    branches: tuple[Run, ...]
    prices: Callable[[tuple[int, ...]], tuple[int, ...]]
    """Multiply-adds of each branch on one input of shape (C,h,w)."""
    classifier_price: Callable[[tuple[int, ...]], int]
    """Multiply-adds of the classifier on one tile of shape (C,h,w)."""


def of(container: RoutedContainer) -> Networks:
    """The container's own, run by PyTorch as they are."""
    branches = container.branches
    return Networks(
        container.classify,
        tuple(partial(branches.one, k=k) for k in range(len(branches))),
        branches.prices,
        container.classifier_price,
    )
