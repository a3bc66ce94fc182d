"""Visibility of the borders between tiles of different branches in a restored image."""

from __future__ import annotations

import torch
from torch import Tensor

from lowvision.routing.tiling import Tiling

INSIDE = (-40, -36, -32, -28, 28, 32, 36, 40)
"""Distances from a border in pixels: beyond the seam, before the next one, and multiples of 4, the period of x4."""


def between_branches(where: Tiling, choice: Tensor, scale: int) -> Tensor:
    """Return the mask of steps (s*H,s*W-1) that cross from a tile of one branch into a tile of another."""
    grid = choice.unflatten(0, (len(where.tops), len(where.lefts)))
    crossing = torch.zeros(scale * where.height, scale * where.width - 1, dtype=torch.bool)
    rows = [0, *(sum(seam) // 2 for seam in where.seams_down), where.height]
    for r in range(len(where.tops)):
        for c, seam in enumerate(where.seams_right):
            if grid[r, c] != grid[r, c + 1]:
                crossing[scale * rows[r] : scale * rows[r + 1], scale * sum(seam) // 2 - 1] = True
    return crossing


def excess(image: Tensor, borders: Tensor) -> float:
    """Return the mean step at borders divided by the mean step inside the tiles next to them; image (C,s*H,s*W).

    A step is the absolute difference of two neighbouring pixels in a row.
    """
    steps = image.clamp(0, 1).diff(dim=2).abs().mean(dim=0)  # (s*H, s*W-1)
    inside = [steps[borders.roll(shift, dims=1)].mean() for shift in INSIDE]
    return float(steps[borders].mean() / torch.stack(inside).mean())
