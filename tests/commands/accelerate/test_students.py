"""Claims about the students of a teacher: cheaper, of different costs, and started from shipped weights if possible."""

from __future__ import annotations

from typing import Any

import pytest

from lowvision.commands.accelerate import students
from lowvision.errors import UsageError
from lowvision.models.architecture import Architecture
from lowvision.plugins import registry

KNOWN = registry.load()


def build_component(kind: str, name: str, **options: Any) -> Any:
    return KNOWN.find(kind, name).component(**options)


def teacher(scale: int = 4, channels: int = 3, **options: Any) -> Architecture:
    task = build_component("tasks", "sr", scale=scale, channels=channels)
    return Architecture(task=task, branches=(build_component("backbones", "rlfn", **options),))


def test_students_cost_at_most_their_shares_cheapest_first() -> None:
    chosen = students.choose(teacher(), 32, KNOWN)
    assert len(chosen) == 2
    assert [student.share for student in chosen] == sorted(student.share for student in chosen)
    assert all(student.share <= share for student, share in zip(chosen, students.SHARES, strict=True))
    assert chosen[0].share > students.SHARES[0] / 4


def test_a_tiny_teacher_has_no_student() -> None:
    task = build_component("tasks", "sr", scale=4)
    tiny = Architecture(task=task, branches=(build_component("backbones", "disp", channels=4, layers=1),))
    assert students.choose(tiny, 32, KNOWN) == []


def test_a_student_more_expensive_than_the_teacher_is_refused() -> None:
    large = build_component("backbones", "disp", channels=128, layers=8)
    priced = students.priced_students([large], teacher(), 32)
    with pytest.raises(UsageError, match=r"'disp' costs \d+\.\d\d times the multiply-adds of the network"):
        students.check(priced, KNOWN)


def test_a_student_starts_from_shipped_weights_of_the_same_task() -> None:
    chosen = students.choose(teacher(), 32, KNOWN)
    assert students.initial_weights(chosen, teacher(), KNOWN) == "sr-disp-x4"
    assert students.initial_weights(chosen, teacher(scale=2), KNOWN) is None
    assert students.initial_weights(chosen, teacher(channels=1), KNOWN) is None
