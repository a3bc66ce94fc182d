"""Measure the seconds of a training step of a student on this machine, and the quickest precision."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Literal

import torch

from lowvision.commands.accelerate.students import Student
from lowvision.models.architecture import Architecture

Precision = Literal["no", "bf16"]

BATCH_PIXELS, FEWEST_TILES = 16 * 32**2, 2
"""Pixels of a training step, and the fewest tiles."""
MEASURED_STEPS = 3
MUCH_QUICKER = 0.8
"""Part of the time of float32 that bfloat16 must fall below: processors without its instructions imitate it slowly."""


class StepTimes:
    """Training steps of students on the CPU; each student is measured once in each precision."""

    def __init__(self, teacher: Architecture, side: int):
        """Measure later. teacher: its task is that of the students. side: of a tile in LQ pixels."""
        self._teacher, self._side = teacher, side
        self._seconds: dict[tuple[Student, Precision], float] = {}

    @property
    def batch(self) -> int:
        """Tiles of a training step: as many pixels for large tiles as for small ones."""
        return max(FEWEST_TILES, BATCH_PIXELS // self._side**2)

    def precision(self, student: Student) -> Precision:
        """Return the mixed precision in which a student is trained most quickly."""
        return "bf16" if self.seconds(student, "bf16") < MUCH_QUICKER * self.seconds(student, "no") else "no"

    def seconds(self, student: Student, precision: Precision) -> float:
        """Return the seconds of a step."""
        key = student, precision
        if key not in self._seconds:
            self._seconds[key] = self._measured(*key)
        return self._seconds[key]

    def _measured(self, student: Student, precision: Precision) -> float:
        torch.manual_seed(0)
        task = self._teacher.task
        network = student.backbone.build(task).to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(network.parameters())
        shape = (self.batch, task.channels, self._side, self._side)
        lq = torch.rand(shape).contiguous(memory_format=torch.channels_last)
        gt = torch.rand(*shape[:2], self._side * task.scale, self._side * task.scale)
        best = float("inf")
        for _ in range(MEASURED_STEPS):
            began = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext():
                restored = network(lq)
            (restored.float() - gt).abs().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            best = min(best, time.perf_counter() - began)
        return best
