"""The functions that an engine runs, independent of the runtime: classifier and branches, and their costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from lowvision.routing.container import RoutedContainer
from lowvision.system import devices

Run = Callable[[Tensor], Tensor]
"""A branch, (B,C,h,w) -> (B,C,s*h,s*w), or a classifier, (B,C,h,w) -> logits (B,M)."""


@dataclass(frozen=True)
class Networks:
    """Functions of batches; each must be safe to call from several threads."""

    classify: Run
    branches: tuple[Run, ...]
    costs: Callable[[tuple[int, ...]], tuple[int, ...]]
    """Multiply-adds of each branch on one input of shape (C,h,w)."""
    classifier_cost: Callable[[tuple[int, ...]], int]
    """Multiply-adds of the classifier on one tile of shape (C,h,w)."""


def of(container: RoutedContainer) -> Networks:
    """Return the networks of a container, run by PyTorch unmodified."""
    branches = container.branches

    def branch(tiles: Tensor, k: int) -> Tensor:
        return branches.one(devices.in_fast_layout(tiles), k=k)

    return Networks(
        lambda tiles: container.classify(devices.in_fast_layout(tiles)),
        tuple(partial(branch, k=k) for k in range(len(branches))),
        branches.costs,
        container.classifier_cost,
    )
