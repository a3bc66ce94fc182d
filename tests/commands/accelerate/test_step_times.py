"""Claims about the time of training steps of students."""

from __future__ import annotations

from typing import Any

import pytest

from lowvision.commands.accelerate.step_times import Precision, StepTimes
from lowvision.commands.accelerate.students import Student
from lowvision.models.architecture import Architecture
from lowvision_sr import FSRCNN, SuperResolution

TEACHER = Architecture(task=SuperResolution(scale=2), branches=(FSRCNN(),))
SMALL = Student(FSRCNN(channels=8), share=0.1)


@pytest.mark.parametrize(("side", "batch"), [(32, 16), (64, 4), (96, 2), (128, 2)])
def test_a_step_has_about_as_many_pixels_for_large_tiles_as_for_small_ones(side: int, batch: int) -> None:
    assert StepTimes(TEACHER, side).batch == batch


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_a_student_is_measured_once(precision: Precision, monkeypatch: pytest.MonkeyPatch) -> None:
    times = StepTimes(TEACHER, 32)
    first = times.seconds(SMALL, precision)
    monkeypatch.setattr(times, "_measured", None)
    assert times.seconds(SMALL, precision) == first > 0


@pytest.mark.parametrize(("half", "precision"), [(0.4, "bf16"), (0.9, "no"), (3.0, "no")])
def test_bfloat16_is_chosen_where_it_is_much_quicker(
    monkeypatch: pytest.MonkeyPatch, half: float, precision: str
) -> None:
    def measured(self: Any, student: Student, precision: Precision) -> float:
        return half if precision == "bf16" else 1.0

    monkeypatch.setattr(StepTimes, "_measured", measured)
    assert StepTimes(TEACHER, 32).precision(SMALL) == precision
