"""Everything about a run that can be known before anything is written, with every complaint at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from lowvision.data import augment
from lowvision.errors import LowvisionError, RecipeError
from lowvision.models import pretrained, weights
from lowvision.pipeline import teachers
from lowvision.plugins.contracts import Adaptive
from lowvision.plugins.registry import Registry
from lowvision.recipe.models import Recipe
from lowvision.routing import cost
from lowvision.routing.container import RoutedContainer
from lowvision.training import loop
from lowvision.training.options import Fit

SPLITS = ("train", "valid", "test")
TRAINING = ("base", "branches", "classifier", "joint")


def check(recipe: Recipe, registry: Registry) -> None:
    """Build the networks without memory, look for files, and try every name that a library will be asked for.

    Raises RecipeError with every complaint, one a line.
    """
    complaints = [
        *_networks(recipe),
        *_augmentations(recipe),
        *_optimizers(recipe),
        *_trackers(recipe),
        *_photographs(recipe),
        *_weights(recipe, registry),
        *_teachers(recipe, registry),
    ]
    if complaints:
        raise RecipeError("\n".join(complaints))


def _networks(recipe: Recipe) -> Iterator[str]:
    try:
        with torch.device("meta"):
            container = recipe.architecture.build_container()
    except (ValueError, RuntimeError, LowvisionError) as error:
        yield f"the container cannot be built: {error}"
        return
    if recipe.stages.calibrate and not recipe.classifier and not isinstance(container.branches.networks[-1], Adaptive):
        yield "stages.calibrate: one network that does not decide by itself costs what it costs; leave the stage out"
    try:
        yield from _costs_that_do_not_rise(container, recipe)
    except (ValueError, RuntimeError, AssertionError) as error:  # the last is how timm says what it cannot take
        yield f"tile: a tile of {recipe.tile.size} does not pass through the networks: {error}"


def _costs_that_do_not_rise(container: RoutedContainer, recipe: Recipe) -> Iterator[str]:
    shape = (recipe.task.channels, recipe.tile.size, recipe.tile.size)
    cost.multiply_adds(container.classifier, (1, *shape))
    prices = container.branches.prices(shape)
    for k in range(len(prices) - 1):
        if prices[k] >= prices[k + 1]:
            yield (
                f"branches: branch {k} costs {prices[k] / 1e6:.1f} M multiply-adds a tile and branch {k + 1} "
                f"{prices[k + 1] / 1e6:.1f} M; list them from the cheapest to the dearest"
            )


def _augmentations(recipe: Recipe) -> Iterator[str]:
    try:
        augment.check(augment.build(recipe.data.augment), recipe.tile.size, recipe.task.scale)
    except RecipeError as error:
        yield str(error)


def _optimizers(recipe: Recipe) -> Iterator[str]:
    for name in TRAINING:
        options: Fit | None = getattr(recipe.stages, name)
        if options:
            try:
                loop.make_optimizer([torch.nn.Parameter(torch.zeros(1))], options)
            except RecipeError as error:
                yield f"stages.{name}: {error}"


def _trackers(recipe: Recipe) -> Iterator[str]:
    from accelerate.tracking import get_available_trackers

    there = [str(getattr(tracker, "value", tracker)) for tracker in get_available_trackers()]
    for name in recipe.trackers:
        if name not in there:
            yield f"trackers: '{name}' is not installed; there are {', '.join(there) or 'none'}"


def _photographs(recipe: Recipe) -> Iterator[str]:
    for split in SPLITS:
        dataset = getattr(recipe.data, split)
        if dataset is not None:
            try:
                dataset.photos()
            except LowvisionError as error:
                yield f"data.{split}: {error}"


def _weights(recipe: Recipe, registry: Registry) -> Iterator[str]:
    stages = {f"stages.{name}": getattr(recipe.stages, name) for name in ("base", "branches", "classifier", "joint")}
    named = {f"{path}.start": stage.start for path, stage in stages.items() if stage}
    named |= {f"branches.{k}.weights": branch.weights for k, branch in enumerate(recipe.branches)}
    if recipe.stages.rank:
        named["stages.rank.weights"] = recipe.stages.rank.weights
    for path, file in named.items():
        if file:
            try:
                weights.read_header(pretrained.find(Path(file), registry), registry)
            except LowvisionError as error:
                yield f"{path}: {error}"


def _teachers(recipe: Recipe, registry: Registry) -> Iterator[str]:
    try:
        teachers.check(recipe.data.teachers, recipe.task, registry)
    except LowvisionError as error:
        yield str(error)
