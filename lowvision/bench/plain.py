"""Restore methods for comparison: bicubic, the base on the whole image, and routed tile by tile."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lowvision.bench import shares
from lowvision.bench.job import Job, Method
from lowvision.bench.rows import PLAIN, TUNED
from lowvision.errors import UsageError
from lowvision.inference import engines
from lowvision.routing.container import RoutedContainer
from lowvision.routing.tiling import cut, plan, suiting
from lowvision.system.allocator import keep_memory


def bicubic(job: Job) -> Method:
    """Prepare the task's baseline. Raises UsageError at scale 1, where it computes nothing."""
    task = job.parts.architecture.task
    if task.scale == 1:
        raise UsageError("bicubic needs a scale above 1; leave the row out")
    return Method(lambda: task.baseline(job.image[None].to(job.device)), cost=lambda: 0)


def whole(job: Job) -> Method:
    """Prepare the base on the whole image: by plain PyTorch, or by a runtime without folding."""
    architecture, base = job.parts.architecture, job.parts.branches[-1].unfolded()
    height, width = job.image.shape[1:]
    x = suiting(job.image, architecture.branches[-1].multiple_of)[None]
    if job.row.runtime == TUNED and job.device == "cpu":
        keep_memory()
    plain = job.row.runtime == PLAIN
    network: Callable[[Tensor], Tensor] = (
        base.module().to(job.device) if plain else job.runtime.prepare(base, 1, job.device)
    )

    @torch.inference_mode()
    def run() -> Tensor:
        return network(x.to(job.device))

    return Method(run, cost=lambda: engines.base_cost(architecture, height, width))


def tile_by_tile(job: Job) -> Method:
    """Prepare routing as in the reference implementation of Kong et al. 2021: a loop over single tiles.

    Each batch is one contiguous tile, with PyTorch's default threads and allocator; overlapping tiles are averaged.
    Unlike in the reference, the tiles cover the whole image.
    """
    parts, architecture = job.routable(), job.parts.architecture
    assert parts.classifier
    container = RoutedContainer(parts.classifier.module(), [branch.module() for branch in parts.branches])
    container.to(job.device)
    size, scale = architecture.tile.size, architecture.task.scale
    channels, height, width = job.image.shape
    placement = plan(height, width, size, architecture.tile.overlap)
    coords_list = [(top, left) for top in placement.tops for left in placement.lefts]
    forced = job.choice()
    choice = torch.zeros(placement.count, dtype=torch.int64)

    @torch.inference_mode()
    def run() -> Tensor:
        image = job.image.to(job.device)
        total = torch.zeros(channels, scale * height, scale * width, device=job.device)
        coverage = torch.zeros(1, scale * height, scale * width, device=job.device)
        for n, (top, left) in enumerate(coords_list):
            tile = cut(image, top, left, size, size)[None]  # (1, C, size, size)
            classified = container.classify(tile).argmax()  # even with fixed shares: its time belongs to routing
            choice[n] = classified if forced is None else forced[n]
            restored = container.branches.one(tile, int(choice[n]))[0]
            rows = slice(scale * top, scale * min(top + size, height))
            columns = slice(scale * left, scale * min(left + size, width))
            total[:, rows, columns] += restored[:, : rows.stop - rows.start, : columns.stop - columns.start]
            coverage[:, rows, columns] += 1
        return total / coverage

    def cost() -> int:
        shape = (channels, size, size)
        return int(container.costs(shape)[choice].sum()) + placement.count * container.classifier_cost(shape)

    return Method(run, cost, facts=lambda: {"shares": shares.of(choice, len(container.branches))})
