"""Judges what is being trained on fixed tiles of `data.valid`, shared by all processes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from lowvision.data.tiles import fixed_tiles
from lowvision.imaging.metrics import psnr
from lowvision.pipeline.stages.job import Job
from lowvision.routing.container import RoutedContainer
from lowvision.training.log import Value
from lowvision.training.loop import Validator

AT_A_TIME = 16
EXACT = 1e-12
"""A squared error that counts as none."""


def of_network(job: Job) -> Validator | None:
    """The mean PSNR of one network, and its gain; None where the recipe has no data.valid.

    gain: by how many dB less it errs than its input does, over all tiles together. Not a difference of mean PSNRs:
    those are mostly flat tiles', which have little to gain.
    """
    tiles = _tiles(job)
    if tiles is None:
        return None
    _, there = _measured(job, job.recipe.task.baseline, *tiles)

    def judge(network: nn.Module) -> dict[str, Value]:
        decibels, left = _measured(job, network, *tiles)
        gain = 10 * math.log10(there / max(left, EXACT)) if there and math.isfinite(left) else 0.0
        return {"psnr": decibels, "gain": gain}

    return judge


@torch.no_grad()
def _measured(job: Job, restore: Callable[[Tensor], Tensor], lq: Tensor, gt: Tensor, count: int) -> tuple[float, float]:
    """The mean PSNR and squared error of what becomes of tiles; lq and gt are this process's of `count`."""
    sums = torch.zeros(2, device=job.accelerator.device)
    for some_lq, some_gt in zip(lq.split(AT_A_TIME), gt.split(AT_A_TIME), strict=True):
        restored, right = restore(some_lq.to(sums.device)), some_gt.to(sums.device)
        sums[0] += psnr(restored, right).sum()
        sums[1] += (restored - right).square().flatten(1).mean(dim=1).sum()
    decibels, error = (job.accelerator.reduce(sums, "sum") / count).tolist()
    return decibels, error


def of_container(job: Job) -> Validator | None:
    """The mean PSNR of routed tiles and the share of each branch; None where the recipe has no data.valid."""
    tiles = _tiles(job)
    if tiles is None:
        return None
    lq, gt, count = tiles
    branches = len(job.recipe.branches)

    @torch.no_grad()
    def judge(network: nn.Module) -> dict[str, Value]:
        device = job.accelerator.device
        sums = torch.zeros(1 + branches, device=device)
        if len(lq):
            routed = cast(RoutedContainer, network).route(lq.to(device))
            sums[0] = psnr(routed.image, gt.to(device)).sum()
            sums[1:] = torch.bincount(routed.choice, minlength=branches)
        means = job.accelerator.reduce(sums, "sum") / count
        return {"psnr": means[0].item(), "shares": means[1:].tolist()}

    return judge


def _tiles(job: Job) -> tuple[Tensor, Tensor, int] | None:
    """This process's share of the fixed tiles, lq and gt, and how many all processes have."""
    if job.recipe.data.valid is None:
        return None
    lq, gt = fixed_tiles(job.extractor("valid"), job.recipe.data.valid_tiles, job.recipe.seed)
    own = slice(job.accelerator.process_index, None, job.accelerator.num_processes)
    return lq[own], gt[own], len(lq)
