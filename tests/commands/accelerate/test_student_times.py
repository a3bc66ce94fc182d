"""Claims about the time of students: of a training step, and of a pixel that is restored."""

from __future__ import annotations

from typing import Any

import pytest

from lowvision.commands.accelerate.student_times import Precision, StudentTimes
from lowvision.commands.accelerate.students import Student
from lowvision.models.architecture import Architecture
from lowvision_sr import FSRCNN, SuperResolution

TEACHER = Architecture(task=SuperResolution(scale=2), branches=(FSRCNN(),))
SMALL = Student(FSRCNN(channels=8), share=0.1)


@pytest.mark.parametrize(("side", "batch"), [(32, 16), (64, 4), (96, 2), (128, 2)])
def test_a_step_has_about_as_many_pixels_for_large_tiles_as_for_small_ones(side: int, batch: int) -> None:
    assert StudentTimes(TEACHER, side, side, "cpu").batch == batch


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_a_student_is_measured_once(precision: Precision, monkeypatch: pytest.MonkeyPatch) -> None:
    times = StudentTimes(TEACHER, 32, 72, "cpu")
    step, pixel = times.step(SMALL, precision), times.pixel(SMALL)
    monkeypatch.setattr(StudentTimes, "_measured_step", None)
    monkeypatch.setattr(StudentTimes, "_measured_pixel", None)
    assert times.step(SMALL, precision) == step > 0
    assert times.pixel(SMALL) == pixel > 0


@pytest.mark.parametrize(("half", "precision"), [(0.4, "bf16"), (0.9, "no"), (3.0, "no")])
def test_bfloat16_is_chosen_where_it_is_much_quicker(
    monkeypatch: pytest.MonkeyPatch, half: float, precision: str
) -> None:
    def measured(self: Any, student: Student, precision: Precision) -> float:
        return half if precision == "bf16" else 1.0

    monkeypatch.setattr(StudentTimes, "_measured_step", measured)
    assert StudentTimes(TEACHER, 32, 72, "cpu").precision(SMALL) == precision
