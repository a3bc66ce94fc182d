"""The plan of an acceleration suits the teacher."""

from __future__ import annotations

import pytest

from lowvision.commands.accelerate import planning
from lowvision.commands.accelerate.split import Split
from lowvision.models.architecture import Architecture
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


def test_a_split_can_be_measured_on_fewer_photographs() -> None:
    used = Split(("a",), ("b", "c"), ("d", "e"))
    assert used.held_out(1) == Split(("a",), ("b",), ("d",))
    assert used.held_out(9) == used
