"""Judges what is being trained on fixed tiles of `data.valid`, shared by all processes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from lowvision.metrics import psnr
from lowvision.routing.container import RoutedContainer
from lowvision.stages.job import Job
from lowvision.training.log import Value
from lowvision.training.loop import Judge
from lowvision.training.tiles import fixed_tiles

AT_A_TIME = 16

Restore = Callable[[Tensor], Tensor]
"""lq (B,C,h,w) -> (B,C,h*scale,w*scale)."""
Measure = Callable[[Tensor, Tensor], Tensor]
"""Of restored tiles and gt, one number for each: (B,)."""


def of_network(job: Job) -> Judge | None:
    """The mean PSNR of one network; None where the recipe has no data.valid."""
    tiles = _tiles(job)
    if tiles is None:
        return None
    lq, gt, count = tiles
    return lambda network: {"psnr": _mean(job, network, lq, gt, count, psnr)}


def gain(job: Job, network: nn.Module) -> float | None:
    """By how many dB less a network errs than its input does, over all tiles together; None without data.valid.

    Not a difference of mean PSNRs: those are mostly flat tiles', which have little to gain.
    """
    tiles = _tiles(job)
    if tiles is None:
        return None
    network.eval()
    ours, inputs = (_mean(job, restore, *tiles, _squared_errors) for restore in (network, job.recipe.task.baseline))
    return 10 * math.log10(inputs / ours) if inputs and ours else math.inf


def _mean(job: Job, restore: Restore, lq: Tensor, gt: Tensor, count: int, measure: Measure) -> float:
    """Of what `measure` says of each restored tile; lq and gt are this process's of `count` tiles."""
    total = torch.zeros((), device=job.accelerator.device)
    with torch.no_grad():
        for some_lq, some_gt in zip(lq.split(AT_A_TIME), gt.split(AT_A_TIME), strict=True):
            total += measure(restore(some_lq.to(total.device)), some_gt.to(total.device)).sum()
    return job.accelerator.reduce(total, "sum").item() / count


def _squared_errors(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().flatten(1).mean(dim=1)


def of_container(job: Job) -> Judge | None:
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
    lq, gt = fixed_tiles(job.cutter("valid"), job.recipe.data.valid_tiles, job.recipe.seed)
    own = slice(job.accelerator.process_index, None, job.accelerator.num_processes)
    return lq[own], gt[own], len(lq)
