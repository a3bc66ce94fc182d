"""The argument `--task` of commands: a task that replaces the one stored with the weights."""

from __future__ import annotations

from lowvision.commands.component_argument import parse_component
from lowvision.errors import UsageError
from lowvision.models.architecture import Architecture
from lowvision.plugins.contracts import Task
from lowvision.plugins.registry import Registry


def parse_task(text: str, registry: Registry) -> Task:
    """Parse a task as a recipe names it, e.g. `{denoise: {sigma: 25}}`. Raises UsageError."""
    task: Task = parse_component("tasks", text, "--task", registry)
    return task


def with_task(architecture: Architecture, task: Task, registry: Registry) -> Architecture:
    """Return the architecture with another task. Raises UsageError if scale or channels differ."""
    trained = architecture.task
    if (task.scale, task.channels) != (trained.scale, trained.channels):
        requested, expected = (
            f"{registry.name_of(t)} of scale {t.scale}, {t.channels} channels" for t in (task, trained)
        )
        raise UsageError(
            f"--task: {requested}, but the weights are for {expected}; give a task of that scale and channels"
        )
    return architecture.replace(task=task)
