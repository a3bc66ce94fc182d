"""The plan of an acceleration suits the teacher."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowvision.commands.accelerate import planning
from lowvision.commands.accelerate.planning import Plan
from lowvision.commands.accelerate.request import AccelerateRequest
from lowvision.commands.accelerate.split import Split
from lowvision.commands.accelerate.students import Student
from lowvision.commands.accelerate.thoroughness import Thoroughness
from lowvision.models.architecture import Architecture, Tile
from lowvision.plugins import registry
from lowvision.plugins.contracts import Task
from lowvision_sr import FSRCNN, SuperResolution


class Deep(FSRCNN):
    """A network with the receptive field of a deeper one."""

    radius: int | None

    def reach(self, task: Task) -> int | None:
        return self.radius


@pytest.mark.parametrize(
    ("radius", "size", "merges"), [(18, 32, False), (63, 32, False), (64, 64, False), (None, 64, True)]
)
def test_a_teacher_that_sees_far_gets_tiles_with_more_context(radius: int | None, size: int, merges: bool) -> None:
    teacher = Architecture(task=SuperResolution(scale=4), branches=(Deep(radius=radius),))
    assert (planning._tile(teacher).size, planning._tile(teacher).merge) == (size, merges)


@pytest.mark.parametrize(
    ("steps", "is_warm", "is_reported"), [(60, False, True), (60, True, False), (500, False, False)]
)
def test_students_with_random_weights_and_few_steps_are_reported(steps: int, is_warm: bool, is_reported: bool) -> None:
    plan = Plan(
        architecture=Architecture(task=SuperResolution(scale=4), branches=(FSRCNN(),)),
        is_container=False,
        split=Split(("a",), ("b",), ("c",)),
        students=(Student(FSRCNN(channels=8), share=0.1),),
        start=None,
        is_warm=is_warm,
        tile=Tile(),
        crops=10,
        crop_size=64,
        context=4,
        thoroughness=Thoroughness(centre=96, rounds=1, photographs=1),
        batch=16,
        steps=(steps,),
        predictor_steps=200,
    )
    request = AccelerateRequest(weights=Path("w.pth"), photos=Path("p"), output=Path("o.safetensors"), minutes=2)
    lines: list[str] = []
    planning._tell(plan, 0.1, [0.01], request, registry.load(), lines.append)
    way_out = "a student should be trained for 1000 steps, the plan has 60; give more --minutes, or smaller --students"
    assert (way_out in lines) == is_reported
    assert any(line.startswith("student fsrcnn(") and "10.0% of the cost" in line for line in lines)


def test_a_split_can_be_measured_on_fewer_photographs() -> None:
    used = Split(("a",), ("b", "c"), ("d", "e"))
    assert used.held_out(1) == Split(("a",), ("b",), ("d",))
    assert used.held_out(9) == used
