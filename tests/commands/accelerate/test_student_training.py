"""Claims about how students are trained: which are affordable, and in which precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lowvision.commands.accelerate import student_training, students
from lowvision.commands.accelerate.request import AccelerateRequest
from lowvision.commands.accelerate.student_argument import RequestedStudents
from lowvision.commands.accelerate.student_times import Precision, StudentTimes
from lowvision.commands.accelerate.student_training import StudentTraining
from lowvision.commands.accelerate.students import Student, TrainedWeights
from lowvision.errors import UsageError
from lowvision.models.architecture import Architecture
from lowvision.plugins import registry
from lowvision_sr import FSRCNN, SuperResolution

KNOWN = registry.load()
NONE = RequestedStudents()
TEACHER = Architecture(task=SuperResolution(scale=4), branches=(KNOWN.find("backbones", "rlfn").component(),))


@pytest.fixture(autouse=True)
def simple_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step takes a second, half of one in bfloat16; a pixel takes the cost of the student."""

    def measured(self: Any, student: Student, precision: Precision) -> float:
        return 0.5 if precision == "bf16" else 1.0

    monkeypatch.setattr(StudentTimes, "_measured_step", measured)
    monkeypatch.setattr(StudentTimes, "_measured_pixel", lambda self, student: student.share)


def planned(seconds: float, of: Architecture = TEACHER, requested: RequestedStudents = NONE) -> StudentTraining:
    request = AccelerateRequest(weights=Path("w.pth"), photos=Path("p"), output=Path("o.safetensors"))
    return student_training.planned(request, requested, StudentTimes(of, 32, 72, "cpu"), seconds, 1.0, KNOWN)


def test_students_are_trained_in_the_quickest_precision() -> None:
    training = planned(2000)
    assert training.precision == "bf16"
    assert training.step_seconds == (0.5,) * len(training.students)


def test_students_that_shipped_weights_hold_need_fewer_seconds() -> None:
    # Two students share the seconds: 300 steps of half a second each suffice for trained ones, 1000 for others.
    warm = planned(2 * 300 * 0.5)
    assert warm.is_warm
    assert warm.starts == ("sr-disp-x4",)
    assert warm.enough_steps == student_training.ENOUGH_WARM_STEPS
    grey = Architecture(task=SuperResolution(scale=4, channels=1), branches=TEACHER.branches)
    cold = planned(2 * 300 * 0.5, grey)
    assert not cold.is_warm
    assert cold.starts == ()
    assert [student.backbone.channels for student in cold.students] == [students.SIZES[0][0]]  # type: ignore[attr-defined]


def test_seconds_of_students_are_fractions_of_those_of_the_teacher() -> None:
    training = planned(2000)
    assert training.seconds_shares == tuple(student.share for student in training.students)


def test_given_students_are_kept() -> None:
    given = FSRCNN(channels=8)
    training = planned(1, requested=RequestedStudents((given,)))
    assert [student.backbone for student in training.students] == [given]
    assert not training.is_warm


def test_a_given_student_starts_from_its_own_weights_before_shipped_ones() -> None:
    small = KNOWN.find("backbones", "disp").component(channels=16, layers=2, skip="bilinear")  # in sr-disp-x4, too
    given = FSRCNN(channels=8)
    files = TrainedWeights("mine.pth", (given,)), TrainedWeights("small.pth", (small,))
    training = planned(1, requested=RequestedStudents((given, small), files))
    assert training.starts == ("mine.pth", "small.pth", "sr-disp-x4")
    assert training.is_warm
    assert planned(1, requested=RequestedStudents((given,), files[:1])).starts == ("mine.pth",)


def test_a_teacher_that_is_cheaper_than_all_students_is_refused() -> None:
    tiny = Architecture(task=SuperResolution(scale=4), branches=(FSRCNN(channels=4, shrink=2, layers=1),))
    with pytest.raises(UsageError, match="cannot be made faster: the smallest student takes more than"):
        planned(1000, tiny)
