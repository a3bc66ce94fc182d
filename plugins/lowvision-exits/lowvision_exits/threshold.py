"""The threshold at which the mean cost of tiles is a given fraction of the full network's."""

from __future__ import annotations

import torch
from torch import Tensor

from lowvision_exits.costs import Costs

ALWAYS = -1.0
"""Below every capacity: all tiles exit at the first exit."""
NEVER = 2.0
"""Above every capacity: no tile exits early, and the regressor does not run."""


def solve_threshold(share: float, capacities: Tensor, costs: Costs) -> float:
    """Return the largest threshold at which tiles of capacities (N, exits - 1) cost at most `share` of the network.

    The cost rises monotonically with the threshold, by one tile at a time.
    """
    if share >= 1:
        return NEVER
    # (N, exits - 1): a tile exits where this first exceeds the threshold.
    running_max = capacities.cpu().double().cummax(dim=1).values
    values = running_max.flatten().unique()  # ascending
    midpoints = (
        values[1:] + values[:-1]
    ) / 2  # not at a capacity itself, which another batch size may round differently
    thresholds = [ALWAYS, *midpoints.tolist()]
    low, high = 0, len(thresholds)
    while high - low > 1:
        middle = (low + high) // 2
        affordable = mean_cost(thresholds[middle], running_max, costs) <= share * costs.whole
        low, high = (middle, high) if affordable else (low, middle)
    return thresholds[low]


def mean_cost(threshold: float, running_max: Tensor, costs: Costs) -> float:
    """Return mean multiply-adds per tile; running_max: (N, exits - 1) largest capacity up to each exit."""
    exits = (running_max <= threshold).sum(dim=1)  # (N,) the exit of each tile
    return torch.tensor(costs.exits, dtype=torch.float64)[exits.cpu()].mean().item()
