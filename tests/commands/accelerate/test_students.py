"""Claims about the students of a teacher: cheaper, of different costs, and started from shipped weights if possible."""

from __future__ import annotations

from typing import Any

import pytest

from lowvision.commands.accelerate import students
from lowvision.commands.accelerate.students import Student
from lowvision.errors import UsageError
from lowvision.models.architecture import Architecture
from lowvision.plugins import registry
from lowvision.plugins.contracts import Backbone

KNOWN = registry.load()


def build_component(kind: str, name: str, **options: Any) -> Any:
    return KNOWN.find(kind, name).component(**options)


def teacher(scale: int = 4, channels: int = 3, **options: Any) -> Architecture:
    task = build_component("tasks", "sr", scale=scale, channels=channels)
    return Architecture(task=task, branches=(build_component("backbones", "rlfn", **options),))


def choose(of: Architecture, trained: tuple[Backbone, ...] = (), most: float = 1.0) -> list[Student]:
    """Choose with students of at most this share as affordable."""
    return students.choose(of, 32, KNOWN, trained=trained, is_affordable=lambda student: student.share <= most)


def test_students_cost_at_most_their_shares_cheapest_first() -> None:
    chosen = choose(teacher())
    assert len(chosen) == 2
    assert [student.share for student in chosen] == sorted(student.share for student in chosen)
    assert all(student.share <= share for student, share in zip(chosen, students.SHARES, strict=True))
    assert chosen[0].share > students.SHARES[0] / 4


def test_a_student_that_is_not_affordable_is_replaced_by_the_largest_that_is() -> None:
    small, large = choose(teacher(channels=1))
    assert choose(teacher(channels=1), most=large.share - 1e-6)[-1].share < large.share
    assert choose(teacher(channels=1), most=small.share) == [small]


def test_without_an_affordable_student_the_cheapest_is_chosen() -> None:
    (only,) = choose(teacher(), most=0.0)
    assert (only.backbone.channels, only.backbone.layers) == students.SIZES[0]  # type: ignore[attr-defined]


def test_a_network_that_shipped_weights_hold_is_preferred_unless_it_is_much_smaller() -> None:
    sizes = [(8, 1), (16, 2), (32, 2)]
    trained = tuple(
        build_component("backbones", "disp", channels=channels, layers=layers, skip="bilinear")
        for channels, layers in sizes
    )
    assert [student.backbone for student in choose(teacher(), trained)] == list(trained[1:])
    assert trained[0] not in [student.backbone for student in choose(teacher(), trained[:1])]


def test_a_tiny_teacher_has_no_student() -> None:
    task = build_component("tasks", "sr", scale=4)
    tiny = Architecture(task=task, branches=(build_component("backbones", "disp", channels=4, layers=1),))
    assert choose(tiny) == []


def test_a_student_more_expensive_than_the_teacher_is_refused() -> None:
    large = build_component("backbones", "disp", channels=128, layers=8)
    given = students.with_costs([large], teacher(), 32)
    with pytest.raises(UsageError, match=r"'disp' costs \d+\.\d\d times the multiply-adds of the network"):
        students.check(given, KNOWN)


def test_students_start_from_shipped_weights_of_the_same_task() -> None:
    name, networks = students.initial_weights(teacher(), KNOWN)
    assert name == "sr-disp-x4"
    assert len(networks) >= 2
    assert students.initial_weights(teacher(scale=2), KNOWN) == (None, ())
    assert students.initial_weights(teacher(channels=1), KNOWN) == (None, ())
