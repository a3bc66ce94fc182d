"""Claims about a task that replaces the one stored with the weights."""

from __future__ import annotations

import pytest
import tiny

from lowvision.commands.tasks import parse_task, with_task
from lowvision.errors import UsageError
from lowvision.plugins import registry

KNOWN = registry.load()


def test_a_task_of_the_same_size_replaces_the_task_and_nothing_else() -> None:
    architecture = tiny.architecture()
    task = architecture.task.replace(kernel="bilinear") if "kernel" in type(architecture.task).model_fields else None
    replacement = task or parse_task("{sr: {scale: 2}}", KNOWN)
    changed = with_task(architecture, replacement, KNOWN)
    assert changed.task == replacement
    assert changed.replace(task=architecture.task) == architecture


@pytest.mark.parametrize(
    ("text", "requested"),
    [
        ("{sr: {scale: 4}}", "sr of scale 4, 3 channels"),
        ("{sr: {scale: 2, channels: 1}}", "sr of scale 2, 1 channels"),
        ("denoise", "denoise of scale 1, 3 channels"),
    ],
)
def test_another_scale_or_number_of_channels_is_an_error_with_both(text: str, requested: str) -> None:
    with pytest.raises(UsageError) as error:
        with_task(tiny.architecture(), parse_task(text, KNOWN), KNOWN)
    assert str(error.value) == (
        f"--task: {requested}, but the weights are for sr of scale 2, 3 channels; "
        "give a task of that scale and channels"
    )
