"""Check the shapes that task, branches and classifier of a recipe return for a tile, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from lowvision.errors import summary_of
from lowvision.plugins.contracts import Task
from lowvision.recipe.models import Recipe
from lowvision.routing.container import RoutedContainer
from lowvision.routing.cost import weightless

BATCH = 2
"""Tiles per call: a network that ignores the batch returns one."""


def of_networks(container: RoutedContainer, recipe: Recipe) -> Iterator[str]:
    """Yield an issue per network whose output for tiles has not the shape that its contract requires.

    Runs the networks on the meta device, without weights. Raises what they raise.
    """
    task, side = recipe.task, recipe.tile.size
    tiles = torch.empty(BATCH, task.channels, side, side, device="meta")
    images = (BATCH, task.channels, side * task.scale, side * task.scale)
    for k, network in enumerate(container.branches.networks):
        yield from _issues(f"branches.{k}", weightless(network), tiles, images)
    if recipe.classifier:
        scores = BATCH, len(container.branches)
        yield from _issues("classifier", weightless(container.classifier), tiles, scores)


def of_task(task: Task, side: int) -> Iterator[str]:
    """Yield an issue if the task cannot degrade a tile, or returns another shape than its contract requires."""
    gt = torch.full((task.channels, side * task.scale, side * task.scale), 0.5)
    lq = torch.full((1, task.channels, side, side), 0.5)
    try:
        yield from _issues(
            "task.degrade", lambda image: task.degrade(image, torch.Generator()), gt, (task.channels, side, side)
        )
        yield from _issues("task.baseline", task.baseline, lq, (1, *gt.shape))
    except Exception as error:  # the task of a plugin can raise anything
        yield f"task: a tile of {side} cannot be degraded: {summary_of(error)}"


@torch.no_grad()
def _issues(place: str, call: Callable[[Tensor], Tensor], images: Tensor, expected: tuple[int, ...]) -> Iterator[str]:
    result: object = call(images)
    if not isinstance(result, Tensor):
        yield f"{place}: returns a {type(result).__name__} for {tuple(images.shape)}; its plugin must return one tensor"
    elif tuple(result.shape) != expected:
        yield (
            f"{place}: returns {tuple(result.shape)} for {tuple(images.shape)}; its plugin must return {expected} at "
            "the scale and channels of the task"
        )
