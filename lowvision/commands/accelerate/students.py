"""Choose students for a teacher: small networks by their price, and their initial weights."""

from __future__ import annotations

from collections.abc import Sequence
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
"""Largest prices of the students, as fractions of the teacher's."""


@dataclass(frozen=True)
class Student:
    """A student and its price."""

    backbone: Backbone
    share: float
    """Multiply-adds as a fraction of the teacher's."""


def choose(teacher: Architecture, side: int, registry: Registry) -> list[Student]:
    """Choose the largest candidate below each of SHARES of the teacher's cost; none if all cost more."""
    kind = registry.find("backbones", BACKBONE).component
    candidates = [kind(channels=channels, layers=layers, skip="bilinear") for channels, layers in SIZES]
    priced = priced_students(candidates, teacher, side)
    chosen = [[student for student in priced if student.share <= share][-1:] for share in SHARES]
    return list({student.backbone: student for students in chosen for student in students}.values())


def priced_students(backbones: Sequence[Backbone], teacher: Architecture, side: int) -> list[Student]:
    """Return backbones with their prices on a tile of side x side pixels, cheapest first."""
    task = teacher.task
    shape = (1, task.channels, side, side)
    with meta_device.structure_only():
        price = cost.multiply_adds(teacher.branches[-1].build(task), shape)
        prices = [cost.multiply_adds(backbone.deployed().build(task), shape) for backbone in backbones]
    students = [Student(backbone, own / price) for backbone, own in zip(backbones, prices, strict=True)]
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


def initial_weights(students: Sequence[Student], teacher: Architecture, registry: Registry) -> str | None:
    """Return the name of shipped weights that hold one of the students for the same task; None if none do."""
    for name in registry["weights"]:
        try:
            architecture = weights.read_header(pretrained.find(Path(name), registry), registry).architecture
        except LowvisionError:
            continue
        same_task = architecture.task == teacher.task
        if same_task and any(student.backbone in architecture.branches for student in students):
            return name
    return None
