"""Finds the threshold at which tiles cost, in the mean, a share of the whole network."""

from __future__ import annotations

import torch
from torch import Tensor

from lowvision_exits.prices import Prices

ALWAYS = -1.0
"""Less than every capacity: all tiles leave at the first exit."""
NEVER = 2.0
"""No capacity is more: no tile leaves before the end, so that nobody need be asked."""


def solved(share: float, capacities: Tensor, prices: Prices) -> float:
    """The largest threshold at which tiles of these capacities (N, exits - 1) cost at most `share` of the network.

    A larger threshold lets no tile leave earlier, so that the cost rises with it, a tile at a time.
    """
    if share >= 1:
        return NEVER
    # (N, exits - 1): a tile leaves where this exceeds the threshold.
    passed = capacities.cpu().double().cummax(dim=1).values
    seen = passed.flatten().unique()  # ascending
    between = (seen[1:] + seen[:-1]) / 2  # not at a capacity itself, which another batch may round otherwise
    thresholds = [ALWAYS, *between.tolist()]
    low, high = 0, len(thresholds)
    while high - low > 1:
        middle = (low + high) // 2
        affordable = cost(thresholds[middle], passed, prices) <= share * prices.whole
        low, high = (middle, high) if affordable else (low, middle)
    return thresholds[low]


def cost(threshold: float, passed: Tensor, prices: Prices) -> float:
    """Mean multiply-adds a tile, of tiles whose largest capacities up to each exit are `passed` (N, exits - 1)."""
    exits = (passed <= threshold).sum(dim=1)  # (N,) how many each passes by
    return torch.tensor(prices.exits, dtype=torch.float64)[exits.cpu()].mean().item()
