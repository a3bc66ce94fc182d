"""The plan of an acceleration suits the teacher."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowvision.commands.accelerate import planning
from lowvision.commands.accelerate.planning import Plan
from lowvision.commands.accelerate.request import AccelerateRequest
from lowvision.commands.accelerate.split import Split
from lowvision.commands.accelerate.student_training import StudentTraining
from lowvision.commands.accelerate.students import Student
from lowvision.commands.accelerate.thoroughness import Thoroughness
from lowvision.models.architecture import Architecture, Tile
from lowvision.plugins import registry
from lowvision_sr import FSRCNN, SuperResolution


@pytest.mark.parametrize(
    ("steps", "is_warm", "enough"), [(60, False, 1000), (500, False, None), (60, True, 300), (150, True, None)]
)
def test_students_with_few_steps_are_reported(steps: int, is_warm: bool, enough: int | None) -> None:
    plan = Plan(
        architecture=Architecture(task=SuperResolution(scale=4), branches=(FSRCNN(),)),
        is_container=False,
        split=Split(("a",), ("b",), ("c",)),
        training=StudentTraining(
            students=(Student(FSRCNN(channels=8), share=0.1),),
            starts=(),
            is_warm=is_warm,
            batch=16,
            precision="no",
            step_seconds=(0.01,),
            seconds_shares=(0.05,),
        ),
        tile=Tile(),
        crops=10,
        crop_size=64,
        context=4,
        thoroughness=Thoroughness(centre=96, rounds=1, photographs=1),
        steps=(steps,),
        predictor_steps=200,
    )
    request = AccelerateRequest(weights=Path("w.pth"), photos=Path("p"), output=Path("o.safetensors"), minutes=2)
    lines: list[str] = []
    planning._tell(plan, 0.1, request, registry.load(), lines.append)
    way_out = f"a student should be trained for {enough} steps, the plan has {steps}; give more --minutes, or smaller"
    assert any(way_out in line for line in lines) == bool(enough)
    assert any(
        line.startswith("student fsrcnn(") and "10.0% of the cost, 5.0% of the seconds" in line for line in lines
    )


def test_a_split_can_be_measured_on_fewer_photographs() -> None:
    used = Split(("a",), ("b", "c"), ("d", "e"))
    assert used.held_out(1) == Split(("a",), ("b",), ("d",))
    assert used.held_out(9) == used
