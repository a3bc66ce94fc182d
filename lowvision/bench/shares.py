"""Fixed shares of tiles per branch, to measure speed before a classifier is trained."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from lowvision.errors import UsageError
from lowvision.routing.tiling import Tiling, cut


def read(text: str, branches: int) -> tuple[float, ...]:
    """Parse e.g. `61,23,16` to fractions of 1, the cheapest branch first. Raises UsageError."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--shares {text}: must be numbers separated by commas; give e.g. 61,23,16") from None
    if len(values) != branches:
        raise UsageError(f"--shares {text}: {len(values)} values for {branches} branches; give one per branch")
    if min(values) < 0 or not 0 < sum(values) < float("inf"):
        raise UsageError(f"--shares {text}: must be positive numbers; give e.g. 61,23,16")
    return tuple(value / sum(values) for value in values)


def forced(image: Tensor, placement: Tiling, shares: Sequence[float]) -> Tensor:
    """Return a branch per tile (N,) of image (C,H,W): tiles with the least gradient energy get the cheapest branch."""
    order = _gradient_energy(image, placement).argsort(stable=True)
    ends = [round(placement.count * end) for end in accumulate(shares, initial=0.0)]
    choice = torch.empty(placement.count, dtype=torch.int64)
    for k, (first, last) in enumerate(pairwise(ends)):
        choice[order[first:last]] = k
    return choice


def of(choice: Tensor, branches: int) -> list[float]:
    """Return the share of tiles per branch of a choice (N,)."""
    return (choice.bincount(minlength=branches) / len(choice)).tolist()


def _gradient_energy(image: Tensor, placement: Tiling) -> Tensor:
    """Return the mean squared difference of neighbouring pixels per tile (N,)."""
    tiles = (
        cut(image, top, left, placement.size, placement.size) for top in placement.tops for left in placement.lefts
    )
    return torch.stack([tile.diff(dim=1).square().mean() + tile.diff(dim=2).square().mean() for tile in tiles])
