"""Judges what is being trained on fixed tiles of `data.valid`, shared by all processes."""

from __future__ import annotations

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


def of_network(job: Job) -> Judge | None:
    """The mean PSNR of one network; None where the recipe has no data.valid."""
    mean = _mean_psnr(job)
    if mean is None:
        return None
    return lambda network: {"psnr": mean(network)}


def of_input(job: Job) -> float | None:
    """The mean PSNR that is there before any network; None where the recipe has no data.valid."""
    mean = _mean_psnr(job)
    return mean and mean(job.recipe.task.baseline)


def _mean_psnr(job: Job) -> Callable[[Callable[[Tensor], Tensor]], float] | None:
    """Measures what makes images of tiles (B,C,h,w); None where the recipe has no data.valid."""
    tiles = _tiles(job)
    if tiles is None:
        return None
    lq, gt, count = tiles

    @torch.no_grad()
    def mean(restore: Callable[[Tensor], Tensor]) -> float:
        total = torch.zeros((), device=job.accelerator.device)
        for some_lq, some_gt in zip(lq.split(AT_A_TIME), gt.split(AT_A_TIME), strict=True):
            total += psnr(restore(some_lq.to(total.device)), some_gt.to(total.device)).sum()
        return job.accelerator.reduce(total, "sum").item() / count

    return mean


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
