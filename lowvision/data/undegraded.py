"""Tiles whose random degradation is left to the device that trains."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lowvision.plugins.contracts import Task


class Undegraded(NamedTuple):
    """A clean tile, or a batch of them, and the seeds of their degradations."""

    clean: Tensor
    """(C,H,W) or (B,C,H,W) with the margin of the task around the tile."""
    seed: Tensor
    """A whole number per tile."""


def degraded(tiles: Undegraded, task: Task) -> tuple[Tensor, Tensor]:
    """Return lq (B,C,h,w) and gt (B,C,s*h,s*w) on the device of the tiles, without the margin."""
    generators = [torch.Generator().manual_seed(seed) for seed in tiles.seed.tolist()]
    lq = task.degrade_batch(tiles.clean, generators)
    return without_margin(lq, task.margin), without_margin(tiles.clean, task.margin * task.scale)


def without_margin(images: Tensor, margin: int) -> Tensor:
    """Return images (...,H,W) without a margin on each side."""
    return images[..., margin:-margin, margin:-margin].contiguous() if margin else images
