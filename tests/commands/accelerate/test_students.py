"""Claims about the students of a teacher: quicker, of different sizes, and started from shipped weights if possible."""

from __future__ import annotations

from typing import Any

import pytest

from lowvision.commands.accelerate import students
from lowvision.commands.accelerate.students import Student, TrainedWeights
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


def choose(
    of: Architecture, trained: tuple[Backbone, ...] = (), most: float = 1.0, seconds_per_cost: float = 1.0
) -> list[Student]:
    """Choose with students of at most this share as affordable; their seconds are proportional to it."""
    return students.choose(
        of,
        32,
        KNOWN,
        trained=trained,
        seconds_share=lambda student: seconds_per_cost * student.share,
        is_affordable=lambda student: student.share <= most,
    )


@pytest.mark.parametrize("seconds_per_cost", [0.01, 0.1, 1.0, 3.0])
def test_two_students_are_apart_in_seconds_and_much_quicker_than_the_teacher(seconds_per_cost: float) -> None:
    small, large = choose(teacher(), seconds_per_cost=seconds_per_cost)
    assert seconds_per_cost * small.share <= students.SMALL
    assert seconds_per_cost * large.share <= students.LARGE
    assert students.APART * small.share <= large.share <= students.MOST_COST


def test_students_of_a_slow_teacher_are_larger() -> None:
    as_slow_as_its_cost, slower = choose(teacher()), choose(teacher(), seconds_per_cost=0.2)
    assert all(more.share > less.share for less, more in zip(as_slow_as_its_cost, slower, strict=True))


def test_a_student_that_is_not_affordable_is_replaced_by_the_largest_that_is() -> None:
    small, large = choose(teacher(channels=1))
    assert choose(teacher(channels=1), most=large.share - 1e-6)[-1].share < large.share
    assert choose(teacher(channels=1), most=small.share)[-1] == small


def test_without_an_affordable_student_the_cheapest_is_chosen() -> None:
    (only,) = choose(teacher(), most=0.0)
    assert (only.backbone.channels, only.backbone.layers) == students.SIZES[0]  # type: ignore[attr-defined]


def test_a_network_that_shipped_weights_hold_is_preferred_unless_it_is_much_smaller() -> None:
    sizes = [(8, 1), (16, 2), (32, 2)]  # 1, 6 and 20 % of the teacher
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
    candidates = students.with_costs([large], teacher(), 32)
    with pytest.raises(UsageError, match=r"'disp' costs \d+\.\d\d times the multiply-adds of the network"):
        students.check(candidates, (), KNOWN)
    with pytest.raises(UsageError, match=r"'large\.pth' costs"):
        students.check(candidates, [TrainedWeights("large.pth", (large,))], KNOWN)


def test_students_start_from_shipped_weights_of_the_same_task() -> None:
    shipped = students.shipped_weights(teacher(), KNOWN)
    assert shipped is not None
    assert shipped.name == "sr-disp-x4"
    assert len(shipped.networks) >= 2
    assert students.shipped_weights(teacher(scale=2), KNOWN) is None
    assert students.shipped_weights(teacher(channels=1), KNOWN) is None
