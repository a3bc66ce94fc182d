"""Choose students for a teacher: small networks by their cost, and their initial weights."""

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
SIZES = ((8, 1), (12, 1), (16, 2), (24, 2), (32, 2), (32, 4), (48, 4), (64, 6))
"""Channels and blocks of the candidates, cheapest first."""
SHARES = (0.12, 0.35)
"""Largest costs of the students, as fractions of the teacher's."""


@dataclass(frozen=True)
class Student:
    """A student and its cost."""

    backbone: Backbone
    share: float
    """Multiply-adds as a fraction of the teacher's."""


def choose(
    teacher: Architecture,
    side: int,
    registry: Registry,
    *,
    trained: Collection[Backbone],
    is_affordable: Callable[[Student], bool],
) -> list[Student]:
    """Choose the largest affordable candidate below each of SHARES of the cost of the teacher; none if all cost more.

    trained: networks that shipped weights hold, preferred unless they have less than a quarter of the share.
    If no candidate is affordable, the cheapest one is chosen.
    """
    kind = registry.find("backbones", BACKBONE).component
    sizes = [kind(channels=channels, layers=layers, skip="bilinear") for channels, layers in SIZES]
    students = [student for student in with_costs(sizes, teacher, side) if student.share <= SHARES[-1]]
    affordable = [student for n, student in enumerate(students) if n == 0 or is_affordable(student)]
    preferred = [student for student in affordable if student.backbone in trained]
    chosen = []
    for share in SHARES:
        large = [student for student in preferred if share / 4 <= student.share <= share]
        chosen += (large or [student for student in affordable if student.share <= share])[-1:]
    return list({student.backbone: student for student in chosen}.values())


def with_costs(backbones: Sequence[Backbone], teacher: Architecture, side: int) -> list[Student]:
    """Return backbones with their costs on a tile of side x side pixels, cheapest first."""
    task = teacher.task
    shape = (1, task.channels, side, side)
    with meta_device.structure_only():
        of_teacher = cost.multiply_adds(teacher.branches[-1].build(task), shape)
        costs = [cost.multiply_adds(backbone.deployed().build(task), shape) for backbone in backbones]
    students = [Student(backbone, own / of_teacher) for backbone, own in zip(backbones, costs, strict=True)]
    return sorted(students, key=lambda student: student.share)


def check(students: Sequence[Student], registry: Registry) -> None:
    """Raise UsageError if a student costs at least as much as the teacher."""
    for student in students:
        if student.share >= 1:
            name = registry.name_of(student.backbone)
            raise UsageError(
                f"--students: '{name}' costs {student.share:.2f} times the multiply-adds of the network; give a "
                "smaller one"
            )


def initial_weights(teacher: Architecture, registry: Registry) -> tuple[str | None, tuple[Backbone, ...]]:
    """Return the name of shipped weights for the same task that hold networks of students, and these; None, () if none.

    Weights with the most networks of BACKBONE are taken.
    """
    kind = registry.find("backbones", BACKBONE).component
    best: tuple[str | None, tuple[Backbone, ...]] = None, ()
    for name in registry["weights"]:
        try:
            architecture = weights.read_header(pretrained.find(Path(name), registry), registry).architecture
        except LowvisionError:
            continue
        networks = tuple(branch for branch in architecture.branches if isinstance(branch, kind))
        if architecture.task == teacher.task and len(networks) > len(best[1]):
            best = name, networks
    return best
