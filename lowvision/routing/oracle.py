"""The oracle choice: branches selected by their true errors. It is an upper bound for every classifier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowvision.routing import budget as budgets
from lowvision.routing.engine import Engine
from lowvision.routing.tiling import Span, Tiling


def choice(engine: Engine, lq: Tensor, everywhere: Sequence[Tensor], gt: Tensor, budget: int) -> Tensor:
    """Return the branch of each tile (N,) that minimises the squared error within a budget of multiply-adds.

    lq: (C,h,w). everywhere: for each branch the image that it alone restores, (C,s*h,s*w). gt: (C,s*h,s*w) in [0,1].
    The error of a tile is measured up to the middle of its seams. The choice costs less than the budget if more
    multiply-adds would not reduce the error.
    """
    tiling = engine.given(lq, 0).tiling
    errors = np.stack([tile_errors(image, gt, tiling, engine.scale) for image in everywhere], axis=1)  # (N, M)
    costs = np.array(engine.networks.costs((lq.shape[0], engine.size, engine.size)))
    path = budgets.pareto_path(-errors, budgets.shares_of_largest_cost(costs)).worthwhile()
    chosen, _ = budgets.most_within(budget, path, lambda choice: engine.given(lq, torch.from_numpy(choice)).cost)
    return torch.from_numpy(chosen)


def tile_errors(image: Tensor, gt: Tensor, tiling: Tiling, scale: int) -> NDArray[np.float64]:
    """Return the sum of squared errors (N,) of the part of an image (C,H,W) that belongs to each tile."""
    squares = (image.clamp(0, 1).cpu() - gt.cpu()).double().square().sum(dim=0).numpy()  # (H, W)
    rows = np.add.reduceat(squares, _starts(tiling.seams_down, scale), axis=0)
    return np.add.reduceat(rows, _starts(tiling.seams_right, scale), axis=1).ravel()


def tile_sizes(tiling: Tiling, channels: int, scale: int) -> NDArray[np.int64]:
    """Return the number of values (N,) in the part of the image that belongs to each tile."""
    heights, widths = (
        np.diff([*_starts(seams, scale), scale * length])
        for seams, length in ((tiling.seams_down, tiling.height), (tiling.seams_right, tiling.width))
    )
    return np.asarray(channels * np.outer(heights, widths).ravel(), dtype=np.int64)


def _starts(seams: Sequence[Span], scale: int) -> list[int]:
    """Return the first pixel of each tile's part, in pixels of the restored image."""
    return [0, *(scale * (first + last) // 2 for first, last in seams)]
