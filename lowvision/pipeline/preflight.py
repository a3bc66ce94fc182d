"""Preflight checks of a run: find all issues before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch

from lowvision.data import augment
from lowvision.errors import LowvisionError, RecipeError, message_of
from lowvision.models import pretrained, weights
from lowvision.pipeline import distillation, losses, network_issues, output_shapes, teachers, weights_options
from lowvision.pipeline.core_stages import Base, Branches, ClassifierStage, Joint, Rank
from lowvision.plugins.registry import Registry
from lowvision.plugins.stages import Stage
from lowvision.recipe.models import Recipe
from lowvision.system import devices
from lowvision.training.optimizers import make_optimizer
from lowvision.training.options import Fit

CheckFile = Callable[[Path, Registry], object]
"""Raises LowvisionError for a weights file that does not suit."""
SPLITS = ("train", "valid", "test")


def check(recipe: Recipe, registry: Registry, device: str = "auto") -> None:
    """Build the networks on the meta device, look for all files, and look up all names of libraries.

    device: where the recipe will run; it must support the recipe's precision.

    Raises RecipeError with all issues, one per line; its cause is the first exception of a network.
    """
    networks = [*network_issues.find(recipe, registry)]
    issues = [
        *_task_issues(recipe),
        *_precision_issues(recipe, device),
        *(issue.text for issue in networks),
        *_augmentation_issues(recipe),
        *_optimizer_issues(recipe),
        *_loss_issues(recipe, registry),
        *_tracker_issues(recipe),
        *_photograph_issues(recipe),
        *_weights_issues(recipe, registry),
        *_teacher_issues(recipe, registry),
    ]
    if issues:
        raise RecipeError("\n".join(issues)) from next(filter(None, (issue.cause for issue in networks)), None)


def _task_issues(recipe: Recipe) -> Iterator[str]:
    if not distillation.has_only_lq(recipe):
        yield from output_shapes.of_task(recipe.task, recipe.tile.size)


def _precision_issues(recipe: Recipe, device: str) -> Iterator[str]:
    if issue := devices.precision_issue(recipe.precision, devices.choose(device)):
        yield f"precision: {issue}"


def _augmentation_issues(recipe: Recipe) -> Iterator[str]:
    try:
        augment.check(augment.build(recipe.data.augment), recipe.tile.size, recipe.task.scale)
    except RecipeError as error:
        yield str(error)


def _optimizer_issues(recipe: Recipe) -> Iterator[str]:
    for name, options in recipe.stages.items():
        if isinstance(options, Fit):
            try:
                make_optimizer([torch.nn.Parameter(torch.zeros(1))], options)
            except RecipeError as error:
                yield f"stages.{name}: {error}"


def _loss_issues(recipe: Recipe, registry: Registry) -> Iterator[str]:
    for name, options in recipe.stages.items():
        if isinstance(options, Fit):
            yield from losses.issues(name, options, recipe.task, registry)


def _tracker_issues(recipe: Recipe) -> Iterator[str]:
    from accelerate.tracking import get_available_trackers

    available = [str(getattr(tracker, "value", tracker)) for tracker in get_available_trackers()]
    for name in recipe.trackers:
        if name not in available:
            yield f"trackers: '{name}' is not installed; available: {', '.join(available) or 'none'}"


def _photograph_issues(recipe: Recipe) -> Iterator[str]:
    for split in SPLITS:
        dataset = getattr(recipe.data, split)
        if dataset is not None:
            try:
                dataset.photos()
            except (LowvisionError, OSError) as error:  # the data set of a plugin may not translate errors of files
                yield f"data.{split}: {message_of(error)}"


def _weights_issues(recipe: Recipe, registry: Registry) -> Iterator[str]:
    for place, file, checks in (*_stage_files(recipe), *_branch_files(recipe)):
        if file:
            try:
                path = pretrained.find(Path(file), registry)
                for check_file in checks:
                    check_file(path, registry)
            except LowvisionError as error:
                yield f"{place}: {error}"


def _branch_files(recipe: Recipe) -> Iterator[tuple[str, str | None, Sequence[CheckFile]]]:
    """Yield the place of each file of a branch in the recipe, the file, and what it must pass."""
    for k, branch in enumerate(recipe.branches):
        yield f"branches.{k}.weights", branch.weights, [_holds_branch(recipe, k)]


def _stage_files(recipe: Recipe) -> Iterator[tuple[str, str | None, Sequence[CheckFile]]]:
    """Yield likewise the files of stages; a stage of a plugin may do anything with a file that can be read."""
    for name, stage in recipe.stages.items():
        for option, file in weights_options.files_of(stage):
            yield f"stages.{name}.{option}", file, _needs(recipe, stage) or [weights.read_header]


def _needs(recipe: Recipe, stage: Stage) -> Sequence[CheckFile]:
    """Return what the weights of a stage must pass. A file for `distil` may lack a student, which starts at random."""
    match stage:
        case Base() | Rank():
            return [_holds_branch(recipe, -1)]
        case Branches():
            is_given = stage.from_base and bool(recipe.stages.base or recipe.branches[-1].weights)
            own = [k for k, branch in enumerate(recipe.branches) if not (is_given and branch.backbone == recipe.base)]
            return [_holds_branch(recipe, k) for k in own]
        case ClassifierStage() | Joint():
            return [partial(weights.check_container, architecture=recipe.architecture)]
    return []


def _holds_branch(recipe: Recipe, k: int) -> CheckFile:
    return partial(weights.check_network, architecture=recipe.architecture.only(k))


def _teacher_issues(recipe: Recipe, registry: Registry) -> Iterator[str]:
    try:
        teachers.check(recipe.data.teachers, recipe.task, registry)
        distillation.check(recipe, registry)
    except LowvisionError as error:
        yield str(error)
