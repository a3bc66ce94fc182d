"""Continue a run whose recipe differs from the stored one by more steps only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lowvision.errors import LowvisionError, RunError
from lowvision.plugins.registry import Registry
from lowvision.recipe import reading
from lowvision.recipe.models import Recipe
from lowvision.training.stage import TrainingStage

SUPERSEDED = "superseded"
"""Folder of a run for the results of stages that followed a stage that got more steps."""

Difference = tuple[tuple[str, ...], Any, Any]
"""Path of an option, its stored value and its new one."""


def extend(
    folder: Path, stored: Path, recipe: Recipe, registry: Registry, stages: Sequence[str], done: str
) -> Iterator[str]:
    """Prepare the run folder for a recipe with more steps, and yield what changes, one line each.

    The stage with more steps continues from its last checkpoint; the results of later stages are moved to
    `superseded/`, because they depend on it. stages: all names in order. done: file that marks a stage as finished.
    Raises RunError if anything else differs.
    """
    differences = list(_differences(*_plain(folder, stored, recipe, registry)))
    grown = [difference for difference in differences if _is_growth(*difference, recipe)]
    if len(grown) < len(differences):
        names = [".".join(path) for path, *_ in differences if path]
        named = ", ".join([*names[:3], *(["..."] if len(names) > 3 else [])])
        raise RunError(
            f"{folder}: belongs to another recipe (differs in {named}); "
            "--name NAME makes a new folder, --restart replaces this one"
        )
    for path, before, after in grown:
        yield (
            f"{'.'.join(path)}: {before} -> {after}; {path[1]} continues from its last checkpoint, at the learning "
            "rates of a schedule of the new length"
        )
    changed = [stages.index(path[1]) for path, *_ in grown]
    if changed:
        yield from _supersede(folder, stages[min(changed) + 1 :])
        (folder / stages[min(changed)] / done).unlink(missing_ok=True)


def _plain(folder: Path, stored: Path, recipe: Recipe, registry: Registry) -> tuple[Any, Any]:
    """Return the stored recipe and the new one as plain values; options that are new since have their defaults."""
    try:
        before = reading.resolved(reading.read(stored, registry), registry)
    except LowvisionError as error:
        raise RunError(
            f"{folder}: its recipe cannot be read any more ({error}); --name NAME makes a new folder, --restart "
            "replaces this one"
        ) from None
    return yaml.safe_load(before), yaml.safe_load(reading.resolved(recipe, registry))


def _differences(before: Any, after: Any, path: tuple[str, ...] = ()) -> Iterator[Difference]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            yield from _differences(before.get(key), after.get(key), (*path, str(key)))
    elif before != after:
        yield path, before, after


def _is_growth(path: tuple[str, ...], before: Any, after: Any, recipe: Recipe) -> bool:
    is_steps = len(path) == 3 and path[0] == "stages" and path[2] == "steps"
    return is_steps and isinstance(recipe.stages.get(path[1]), TrainingStage) and after > before


def _supersede(folder: Path, stages: Sequence[str]) -> Iterator[str]:
    """Move the folders of stages to the next free folder in `superseded/`; nothing is deleted."""
    present = [stage for stage in stages if (folder / stage).exists()]
    if not present:
        return
    numbers = [int(path.name) for path in (folder / SUPERSEDED).glob("*") if path.name.isdecimal()]
    target = folder / SUPERSEDED / str(max(numbers, default=0) + 1)
    target.mkdir(parents=True)
    for stage in reversed(present):  # the last one first: what is left is a run up to a stage
        (folder / stage).rename(target / stage)
    yield f"the former results of {', '.join(present)} are in {target.relative_to(folder)}"
