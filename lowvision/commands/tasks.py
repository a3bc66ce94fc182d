"""The argument `--task` of commands: another task than the one that weights name."""

from __future__ import annotations

from pydantic import ValidationError

from lowvision.config import yaml_reader
from lowvision.config.validation import in_words
from lowvision.errors import UsageError
from lowvision.models.architecture import Architecture
from lowvision.plugins.choice import choose
from lowvision.plugins.contracts import Task
from lowvision.plugins.registry import Registry


def parse_task(text: str, registry: Registry) -> Task:
    """Parse a task as a recipe names it, e.g. `{denoise: {sigma: 25}}`. Raises UsageError."""
    try:
        return choose("tasks", yaml_reader.parse(text, "--task").value, registry)  # type: ignore[return-value]  # of that kind
    except ValidationError as error:
        raise UsageError(f"--task: {in_words(error)}") from None
    except ValueError as error:
        raise UsageError(f"--task: {error}") from None


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
