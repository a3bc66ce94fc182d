"""Choose students for a teacher: small networks by their seconds and cost, and their initial weights."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from lowvision.errors import LowvisionError, UsageError
from lowvision.models import pretrained, weights
from lowvision.models.architecture import Architecture
from lowvision.plugins.contracts import Backbone
from lowvision.plugins.registry import Registry
from lowvision.routing import cost
from lowvision.system import meta_device

BACKBONE = "disp"
"""The students by default: plain convolutions, the fastest network per decibel in docs/tables.md."""
SIZES = ((8, 1), (12, 1), (16, 2), (24, 2), (32, 2), (32, 4), (48, 4), (48, 6), (64, 6))
"""Channels and blocks of the candidates, cheapest first."""
STUDENTS = 2
"""Number of students, unless the teacher is too cheap."""
LARGE, SMALL = 0.35, 0.12
"""The most that the larger and the smaller student take, as fractions of the teacher's seconds."""
APART = 3
"""The smaller student is at least this many times quicker than the larger one."""
NEAR = 4
"""A trained student is preferred to one that takes at most this many times its seconds."""
MOST_COST = 0.8
"""Largest cost of a student, as a fraction of the teacher's: attention takes more seconds than its cost suggests."""


@dataclass(frozen=True)
class Student:
    """A student and its cost."""

    backbone: Backbone
    share: float
    """Multiply-adds as a fraction of the teacher's."""


@dataclass(frozen=True)
class TrainedWeights:
    """Weights from which students can start."""

    name: str
    """A file, or a name of shipped weights."""
    networks: tuple[Backbone, ...]
    """The networks in them."""


def choose(
    teacher: Architecture,
    side: int,
    registry: Registry,
    *,
    trained: Collection[Backbone],
    seconds_share: Callable[[Student], float],
    is_affordable: Callable[[Student], bool],
) -> list[Student]:
    """Choose a large and a small affordable candidate, cheapest first; none if all exceed LARGE or MOST_COST.

    seconds_share: seconds of a student as a fraction of the teacher's. trained: networks that shipped weights hold,
    preferred unless much larger ones are affordable. If no candidate is affordable, the cheapest one is chosen.
    """
    kind = registry.find("backbones", BACKBONE).component
    sizes = [kind(channels=channels, layers=layers, skip="bilinear") for channels, layers in SIZES]
    cheap = [student for student in with_costs(sizes, teacher, side) if student.share <= MOST_COST]
    seconds = {student: seconds_share(student) for student in cheap}
    quick = [student for student in cheap if seconds[student] <= LARGE]
    affordable = [student for n, student in enumerate(quick) if n == 0 or is_affordable(student)]

    def largest(most: float) -> list[Student]:
        fitting = [student for student in affordable if seconds[student] <= most]
        near = [s for s in fitting if s.backbone in trained and NEAR * seconds[s] >= seconds[fitting[-1]]]
        return (near or fitting)[-1:]

    large = largest(LARGE)
    small = largest(min(SMALL, seconds[large[0]] / APART)) if large else []
    return small + large


def with_costs(backbones: Sequence[Backbone], teacher: Architecture, side: int) -> list[Student]:
    """Return backbones with their costs on a tile of side x side pixels, cheapest first."""
    task = teacher.task
    shape = (1, task.channels, side, side)
    with meta_device.structure_only():
        of_teacher = cost.multiply_adds(teacher.branches[-1].build(task), shape)
        costs = [cost.multiply_adds(backbone.deployed().build(task), shape) for backbone in backbones]
    students = [Student(backbone, own / of_teacher) for backbone, own in zip(backbones, costs, strict=True)]
    return sorted(students, key=lambda student: student.share)


def check(students: Sequence[Student], sources: Sequence[TrainedWeights], registry: Registry) -> None:
    """Raise UsageError if a student costs at least as much as the teacher.

    sources: weights that students start from; a student in them is named by their name.
    """
    for student in students:
        if student.share >= 1:
            files = [source.name for source in sources if student.backbone in source.networks]
            name = files[0] if files else registry.name_of(student.backbone)
            raise UsageError(
                f"--students: '{name}' costs {student.share:.2f} times the multiply-adds of the network; give a "
                "smaller one"
            )


def shipped_weights(teacher: Architecture, registry: Registry) -> TrainedWeights | None:
    """Return the shipped weights for the same task with the most networks of BACKBONE; None if there are none."""
    kind = registry.find("backbones", BACKBONE).component
    best: TrainedWeights | None = None
    for name in registry["weights"]:
        try:
            architecture = weights.read_header(pretrained.find(Path(name), registry), registry).architecture
        except LowvisionError:
            continue
        networks = tuple(branch for branch in architecture.branches if isinstance(branch, kind))
        if architecture.task == teacher.task and len(networks) > (len(best.networks) if best else 0):
            best = TrainedWeights(name, networks)
    return best
