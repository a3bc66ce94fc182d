"""Validate the network in training on fixed tiles of `data.valid`, shared by all processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from lowvision.data.tiles import fixed_tiles
from lowvision.errors import RunError
from lowvision.evaluation.quality import values_of
from lowvision.imaging.metrics import eight_bit, psnr
from lowvision.models.architecture import Architecture
from lowvision.models.deployment import deployed
from lowvision.pipeline.stages.job import Job
from lowvision.routing.container import RoutedContainer
from lowvision.training.log import Value
from lowvision.training.loop import Validator
from lowvision.training.selection import BY_PSNR, Selection

BATCH = 16
"""Tiles per forward pass."""
SHOWN = 4
"""Tiles for observers that receive images."""
EXACT = 1e-12
"""Smallest squared error of a gain, to avoid division by 0."""


def of_network(job: Job, selection: Selection = BY_PSNR) -> Validator | None:
    """Return a validator of one network, with the metrics `psnr`, `gain` and that of the selection.

    None if the recipe has no data.valid.

    gain: reduction of the squared error against the input in dB, over all tiles together. It is not a difference of
    mean PSNRs: flat tiles dominate those, and have little to gain.
    """
    tiles = _tiles(job)
    if tiles is None:
        return None
    _, input_error, _ = _measure(job, job.recipe.task.baseline, BY_PSNR, *tiles)

    def validate(network: nn.Module) -> dict[str, Value]:
        mean_psnr, error, selecting = _measure(job, network, selection, *tiles)
        gain = 10 * math.log10(input_error / max(error, EXACT)) if input_error and math.isfinite(error) else 0.0
        return {"psnr": mean_psnr, "gain": gain, selection.name: selecting}

    return validate


@torch.no_grad()
def _measure(
    job: Job, restore: Callable[[Tensor], Tensor], selection: Selection, lq: Tensor, gt: Tensor, count: int
) -> tuple[float, float, float]:
    """Return mean PSNR, squared error and selecting metric of restored tiles.

    lq and gt are this process's share of `count` tiles.
    """
    sums = torch.zeros(3, device=job.accelerator.device)
    for lq_part, gt_part in zip(lq.split(BATCH), gt.split(BATCH), strict=True):
        restored, expected = restore(lq_part.to(sums.device)), gt_part.to(sums.device)
        psnrs = psnr(restored, expected)
        sums[0] += psnrs.sum()
        sums[1] += (restored - expected).square().flatten(1).mean(dim=1).sum()
        sums[2] += _selecting(selection, restored, expected, psnrs)
    mean_psnr, error, selecting = (job.accelerator.reduce(sums, "sum") / count).tolist()
    return mean_psnr, error, selecting


def _selecting(selection: Selection, restored: Tensor, gt: Tensor, psnrs: Tensor) -> Tensor | float:
    """Return the sum of the selecting metric over tiles (B,C,H,W); psnrs (B,) are their PSNRs."""
    if selection.metric is None:
        return psnrs.sum()
    return sum(_value(selection, a, b) for a, b in zip(restored, gt, strict=True))


def _value(selection: Selection, restored: Tensor, gt: Tensor) -> float:
    metric = selection.metric
    assert metric is not None
    side = min(restored.shape[1:])
    if side < metric.smallest:
        raise RunError(f"keep: {selection.name} needs {metric.smallest} pixels, a tile has {side}; enlarge tile.size")
    expected = eight_bit(gt, 0) if metric.full_reference else None
    return next(iter(values_of(metric, eight_bit(restored, 0), expected, f"keep: {selection.name}").values()))


def of_container(job: Job, selection: Selection = BY_PSNR) -> Validator | None:
    """Return a validator of a container, with `psnr`, `shares` of branches and the metric of the selection.

    None if the recipe has no data.valid.
    """
    tiles = _tiles(job)
    if tiles is None:
        return None
    lq, gt, count = tiles
    branches = len(job.recipe.branches)

    @torch.no_grad()
    def validate(network: nn.Module) -> dict[str, Value]:
        device = job.accelerator.device
        sums = torch.zeros(2 + branches, device=device)
        if len(lq):
            routed = cast(RoutedContainer, network).route(lq.to(device))
            psnrs = psnr(routed.image, gt.to(device))
            sums[0] = psnrs.sum()
            sums[1] = _selecting(selection, routed.image, gt.to(device), psnrs)
            sums[2:] = torch.bincount(routed.choice, minlength=branches)
        means = job.accelerator.reduce(sums, "sum") / count
        return {"psnr": means[0].item(), selection.name: means[1].item(), "shares": means[2:].tolist()}

    return validate


def of_deployed(validator: Validator | None, architecture: Architecture) -> Validator | None:
    """Return a validator of the deployed form of a network that is trained in another; None without a validator."""
    if validator is None or architecture.deployed() == architecture:
        return validator
    return lambda network: validator(deployed(network, architecture))


def pictures(job: Job) -> Callable[[nn.Module], Mapping[str, Tensor]] | None:
    """Return a function from a network to restored validation tiles; None if no observer receives images."""
    tiles = _tiles(job) if job.log.observers.want_images else None
    if tiles is None:
        return None
    lq, gt = (part[:SHOWN] for part in tiles[:2])

    @torch.no_grad()
    def restored(network: nn.Module) -> dict[str, Tensor]:
        image = restore(network, lq.to(job.accelerator.device))
        return {"lq": lq, "restored": image.float().clamp(0, 1).cpu(), "gt": gt}

    return restored


def restore(network: nn.Module, lq: Tensor) -> Tensor:
    """Return the images of a network in eval mode; a container routes each tile to one branch."""
    was_training = network.training
    network.eval()
    image = network.route(lq).image if isinstance(network, RoutedContainer) else network(lq)
    network.train(was_training)
    return image


def _tiles(job: Job) -> tuple[Tensor, Tensor, int] | None:
    """Return this process's share of the fixed tiles, lq and gt, and the number of tiles of all processes."""
    if job.recipe.data.valid is None:
        return None
    lq, gt = fixed_tiles(job.extractor("valid"), job.recipe.data.valid_tiles, job.recipe.seed)
    shard = slice(job.accelerator.process_index, None, job.accelerator.num_processes)
    return lq[shard], gt[shard], len(lq)
