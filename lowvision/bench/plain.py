"""The ways to restore that stand beside ours: bicubic, the base on the whole image, and tile after tile."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lowvision.bench import shares
from lowvision.bench.job import DEVICE, Job, Way
from lowvision.bench.rows import PLAIN, TUNED
from lowvision.errors import UsageError
from lowvision.inference import engines
from lowvision.routing.container import RoutedContainer
from lowvision.routing.tiling import cut, plan, suiting
from lowvision.system.allocator import keep_memory


def bicubic(job: Job) -> Way:
    """What the task has to beat. Raises UsageError where that is nothing to compute."""
    task = job.parts.architecture.task
    if task.scale == 1:
        raise UsageError("nothing to enlarge: at scale 1 the input itself is what a network must beat")
    return Way(lambda: task.baseline(job.image[None]), cost=lambda: 0)


def whole(job: Job) -> Way:
    """The base on the whole image at once: as PyTorch does it untouched, or by a runtime, layer by layer."""
    made, base = job.parts.architecture, job.parts.branches[-1].unfolded()
    height, width = job.image.shape[1:]
    x = suiting(job.image, made.branches[-1].multiple_of)[None]
    if job.row.runtime == TUNED:
        keep_memory()
    plain = job.row.runtime == PLAIN
    network: Callable[[Tensor], Tensor] = base.module() if plain else job.runtime.prepare(base, 1, DEVICE)

    @torch.inference_mode()
    def run() -> Tensor:
        return network(x)

    return Way(run, cost=lambda: engines.base_cost(made, height, width))


def tile_by_tile(job: Job) -> Way:
    """Routed as in the reference implementation of Kong et al. 2021: its loop takes one tile at a time.

    One batch a tile, contiguous, on PyTorch's own threads and allocator; tiles are averaged where they overlap. Unlike
    the reference they cover the whole image, as ours do.
    """
    parts, made = job.routable(), job.parts.architecture
    assert parts.classifier
    container = RoutedContainer(parts.classifier.module(), [branch.module() for branch in parts.branches])
    size, scale = made.tile.size, made.task.scale
    channels, height, width = job.image.shape
    where = plan(height, width, size, made.tile.overlap)
    coords_list = [(top, left) for top in where.tops for left in where.lefts]
    forced = job.choice()
    choice = torch.zeros(where.count, dtype=torch.int64)

    @torch.inference_mode()
    def run() -> Tensor:
        total = torch.zeros(channels, scale * height, scale * width)
        times = torch.zeros(1, scale * height, scale * width)
        for n, (top, left) in enumerate(coords_list):
            tile = cut(job.image, top, left, size, size)[None]  # (1, C, size, size)
            found = container.classify(tile).argmax()  # also where shares are forced: it is part of what routing takes
            choice[n] = found if forced is None else forced[n]
            restored = container.branches.one(tile, int(choice[n]))[0]
            down = slice(scale * top, scale * min(top + size, height))
            across = slice(scale * left, scale * min(left + size, width))
            total[:, down, across] += restored[:, : down.stop - down.start, : across.stop - across.start]
            times[:, down, across] += 1
        return total / times

    def cost() -> int:
        shape = (channels, size, size)
        return int(container.prices(shape)[choice].sum()) + where.count * container.classifier_price(shape)

    return Way(run, cost, facts=lambda: {"shares": shares.of(choice, len(container.branches))})
