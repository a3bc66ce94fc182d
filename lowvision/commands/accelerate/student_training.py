"""Choose the students of a network, and how they are trained within their part of the time."""

from __future__ import annotations

from dataclasses import dataclass

from lowvision.commands.accelerate import students as candidates
from lowvision.commands.accelerate.request import AccelerateRequest
from lowvision.commands.accelerate.student_argument import RequestedStudents
from lowvision.commands.accelerate.student_times import Precision, StudentTimes
from lowvision.commands.accelerate.students import Student
from lowvision.errors import UsageError
from lowvision.plugins.registry import Registry
from lowvision.system import devices

ENOUGH_STEPS, ENOUGH_WARM_STEPS = 1000, 300
"""Fewest steps that a student should get in its part of the time, the second one if it starts from shipped weights;
otherwise a smaller one is chosen."""


@dataclass(frozen=True)
class StudentTraining:
    """The students, and what a training step of each takes."""

    students: tuple[Student, ...]
    starts: tuple[str, ...]
    """Weights that students start from: files and names of shipped weights."""
    is_warm: bool
    """True: they hold all students."""
    batch: int
    """Tiles of a training step."""
    precision: Precision
    """Mixed precision of training."""
    step_seconds: tuple[float, ...]
    """Seconds of a step of each student."""
    seconds_shares: tuple[float, ...]
    """Seconds of restoring by each student, as fractions of the teacher's."""

    @property
    def enough_steps(self) -> int:
        """Fewest steps that each student should get."""
        return ENOUGH_WARM_STEPS if self.is_warm else ENOUGH_STEPS


def planned(
    request: AccelerateRequest,
    requested: RequestedStudents,
    times: StudentTimes,
    seconds: float,
    teacher_pixel: float,
    registry: Registry,
) -> StudentTraining:
    """Measure the requested students; if there are none, choose quick ones that can be trained in the seconds.

    teacher_pixel: seconds in which the teacher restores an LQ pixel. Raises UsageError if no student is quick enough.
    """
    teacher, side = times.teacher, times.side
    shipped = candidates.shipped_weights(teacher, registry)
    sources = (*requested.trained, shipped) if shipped else requested.trained
    trained = {network for source in sources for network in source.networks}

    def seconds_share(student: Student) -> float:
        return times.pixel(student) / teacher_pixel

    def is_affordable(student: Student) -> bool:
        steps = ENOUGH_WARM_STEPS if student.backbone in trained else ENOUGH_STEPS
        return steps * times.step(student, times.precision(student)) <= seconds / candidates.STUDENTS

    if requested.networks:
        students = candidates.with_costs(requested.networks, teacher, side)
        candidates.check(students, sources, registry)
    else:
        students = candidates.choose(
            teacher,
            side,
            registry,
            trained=trained,
            seconds_share=seconds_share,
            is_affordable=is_affordable,
        )
    if not students:
        raise UsageError(
            f"{request.weights}: cannot be made faster: the smallest student takes more than "
            f"{candidates.LARGE:.0%} of the network's seconds or {candidates.MOST_COST:.0%} of its cost; "
            "give smaller ones by --students"
        )
    chosen = {student.backbone for student in students}
    precision = times.precision(students[-1]) if devices.choose(request.device) == "cpu" else "no"
    return StudentTraining(
        students=tuple(students),
        starts=tuple(dict.fromkeys(source.name for source in sources if chosen.intersection(source.networks))),
        is_warm=chosen <= trained,
        batch=times.batch,
        precision=precision,
        step_seconds=tuple(times.step(student, precision) for student in students),
        seconds_shares=tuple(map(seconds_share, students)),
    )
