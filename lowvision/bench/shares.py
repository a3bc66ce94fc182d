"""Shares of tiles that are forced on the branches, so that speed can be judged before a classifier is good."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from lowvision.errors import UsageError
from lowvision.routing.tiling import Plan, cut


def read(text: str, branches: int) -> tuple[float, ...]:
    """`61,23,16` as parts of 1, the cheapest branch first. Raises UsageError where that is not one a branch."""
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        raise UsageError(f"--shares {text}: give numbers with commas between, as 61,23,16") from None
    if len(values) != branches:
        raise UsageError(f"--shares {text}: {len(values)} values for {branches} branches; give one for each")
    if min(values) < 0 or not 0 < sum(values) < float("inf"):
        raise UsageError(f"--shares {text}: give positive numbers, as 61,23,16")
    return tuple(value / sum(values) for value in values)


def forced(image: Tensor, where: Plan, shares: Sequence[float]) -> Tensor:
    """(N,) a branch for each tile of image (C,H,W): the tiles with the least gradient energy go to the cheapest."""
    order = _gradient_energy(image, where).argsort(stable=True)
    ends = [round(where.count * end) for end in accumulate(shares, initial=0.0)]
    choice = torch.empty(where.count, dtype=torch.int64)
    for k, (first, last) in enumerate(pairwise(ends)):
        choice[order[first:last]] = k
    return choice


def of(choice: Tensor, branches: int) -> list[float]:
    """The share of tiles that each branch has, of a choice (N,)."""
    return (choice.bincount(minlength=branches) / len(choice)).tolist()


def _gradient_energy(image: Tensor, where: Plan) -> Tensor:
    """(N,) the mean squared difference of neighbouring pixels in each tile."""
    tiles = (cut(image, top, left, where.size, where.size) for top in where.tops for left in where.lefts)
    return torch.stack([tile.diff(dim=1).square().mean() + tile.diff(dim=2).square().mean() for tile in tiles])
