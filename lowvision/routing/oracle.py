"""What a classifier would choose that knew how well each branch restores each tile: the bound of all classifiers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowvision.routing import budget as budgets
from lowvision.routing.engine import Engine
from lowvision.routing.tiling import Plan, Span


def choice(engine: Engine, lq: Tensor, everywhere: Sequence[Tensor], gt: Tensor, budget: int) -> Tensor:
    """The branch of each tile (N,) with the least squared error within so many multiply-adds, by the budget's rule.

    lq: (C,h,w). everywhere: the image as each branch alone restores it, (C,s*h,s*w). gt: (C,s*h,s*w) in [0,1]. The
    error of a tile is that of its own part of the image, to the middle of the seams. It spends less than the budget
    where more would not help.
    """
    where = engine.given(lq, 0).plan
    errors = np.stack([_errors(image, gt, where, engine.scale) for image in everywhere], axis=1)  # (N, M)
    prices = np.array(engine.networks.prices((lq.shape[0], engine.size, engine.size)))
    found = budgets.steps(-errors, budgets.shares_of_dearest(prices)).worthwhile()
    chosen, _ = budgets.most_within(budget, found, lambda made: engine.given(lq, torch.from_numpy(made)).cost)
    return torch.from_numpy(chosen)


def _errors(image: Tensor, gt: Tensor, where: Plan, scale: int) -> NDArray[np.float64]:
    """The squared error of each tile's own part of an image (C,H,W) -> (N,)."""
    squares = (image.clamp(0, 1).cpu() - gt.cpu()).double().square().sum(dim=0).numpy()  # (H, W)
    rows = np.add.reduceat(squares, _starts(where.seams_down, scale), axis=0)
    return np.add.reduceat(rows, _starts(where.seams_right, scale), axis=1).ravel()


def _starts(seams: Sequence[Span], scale: int) -> list[int]:
    """Where each tile's own part begins, in pixels of the restored image."""
    return [0, *(scale * (first + last) // 2 for first, last in seams)]
