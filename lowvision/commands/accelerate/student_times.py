"""Measure the seconds of a student on this machine: of a training step, in the quickest precision, and of a pixel."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Literal

import torch

from lowvision.commands.accelerate.students import Student
from lowvision.models.architecture import Architecture
from lowvision.system import devices

Precision = Literal["no", "bf16"]

BATCH_PIXELS, FEWEST_TILES = 16 * 32**2, 2
"""Pixels of a training step, and the fewest tiles."""
MEASURED = 3
"""Repetitions of a measurement, of which the quickest counts."""
MUCH_QUICKER = 0.8
"""Part of the time of float32 that bfloat16 must fall below: processors without its instructions imitate it slowly."""


@dataclass(frozen=True)
class StudentTimes:
    """The seconds of students; each student is measured once in each way, when it is asked for."""

    teacher: Architecture
    """Its task is that of the students."""
    side: int
    """Height and width of a training tile, in LQ pixels."""
    restored_side: int
    """Height and width of what a student restores to be measured, in LQ pixels."""
    device: str
    """Device of restoring; a training step is measured on the CPU."""
    _steps: dict[tuple[Student, Precision], float] = field(default_factory=dict)
    _pixels: dict[Student, float] = field(default_factory=dict)

    @property
    def batch(self) -> int:
        """Tiles of a training step: as many pixels for large tiles as for small ones."""
        return max(FEWEST_TILES, BATCH_PIXELS // self.side**2)

    def precision(self, student: Student) -> Precision:
        """Return the mixed precision in which a student is trained most quickly."""
        return "bf16" if self.step(student, "bf16") < MUCH_QUICKER * self.step(student, "no") else "no"

    def step(self, student: Student, precision: Precision) -> float:
        """Return the seconds of a training step."""
        key = student, precision
        if key not in self._steps:
            self._steps[key] = self._measured_step(*key)
        return self._steps[key]

    def pixel(self, student: Student) -> float:
        """Return the seconds of restoring an LQ pixel."""
        if student not in self._pixels:
            self._pixels[student] = self._measured_pixel(student)
        return self._pixels[student]

    def _measured_step(self, student: Student, precision: Precision) -> float:
        torch.manual_seed(0)
        task, side = self.teacher.task, self.side
        network = student.backbone.build(task).to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(network.parameters())
        shape = (self.batch, task.channels, side, side)
        lq = torch.rand(shape).contiguous(memory_format=torch.channels_last)
        gt = torch.rand(*shape[:2], side * task.scale, side * task.scale)

        def step() -> None:
            with torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext():
                restored = network(lq)
            (restored.float() - gt).abs().mean().backward()
            optimizer.step()
            optimizer.zero_grad()

        return _quickest(step)

    @torch.inference_mode()
    def _measured_pixel(self, student: Student) -> float:
        task, side, layout = self.teacher.task, self.restored_side, devices.layout(self.device)
        network = student.backbone.deployed().build(task).eval().to(self.device).to(memory_format=layout)
        lq = torch.rand(1, task.channels, side, side).to(self.device).to(memory_format=layout)
        return _quickest(lambda: network(lq).cpu()) / side**2  # the copy waits for an accelerator


def _quickest(run: Callable[[], object]) -> float:
    """Return the seconds of the quickest of several runs."""
    best = float("inf")
    for _ in range(MEASURED):
        began = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - began)
    return best
