"""Check the shapes that task, branches and classifier of a recipe return for a tile, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from lowvision.errors import summary_of
from lowvision.plugins.contracts import Task

BATCH = 2
"""Tiles per call: a network that ignores the batch returns one."""


def of_task(task: Task, side: int) -> Iterator[str]:
    """Yield an issue if the task cannot degrade a tile, or returns another shape than its contract requires."""
    gt = torch.full((task.channels, side * task.scale, side * task.scale), 0.5)
    lq = torch.full((1, task.channels, side, side), 0.5)
    try:
        yield from issues(
            "task.degrade", lambda image: task.degrade(image, torch.Generator()), gt, (task.channels, side, side)
        )
        yield from issues("task.baseline", task.baseline, lq, (1, *gt.shape))
    except Exception as error:  # the task of a plugin can raise anything
        yield f"task: a tile of {side} cannot be degraded: {summary_of(error)}"


@torch.no_grad()
def issues(place: str, call: Callable[[Tensor], Tensor], images: Tensor, expected: tuple[int, ...]) -> Iterator[str]:
    """Yield an issue if the result for images has not the shape that a contract requires. Raises what `call` raises."""
    result: object = call(images)
    if not isinstance(result, Tensor):
        yield f"{place}: returns a {type(result).__name__} for {tuple(images.shape)}; its plugin must return one tensor"
    elif tuple(result.shape) != expected:
        yield (
            f"{place}: returns {tuple(result.shape)} for {tuple(images.shape)}; its plugin must return {expected} at "
            "the scale and channels of the task"
        )
