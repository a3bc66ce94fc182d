"""The plan of an acceleration fits into the time: slow teachers are measured on fewer pixels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowvision.commands.accelerate import planning
from lowvision.commands.accelerate.split import Split
from lowvision.models.architecture import Architecture
from lowvision.plugins.contracts import Task
from lowvision_sr import FSRCNN, SuperResolution


@given(pixels=st.floats(1, 1e9), held_out=st.integers(1, 8))
def test_calibration_and_report_fit_into_their_time_unless_even_the_smallest_do_not(
    pixels: float, held_out: int
) -> None:
    chosen = planning._measuring(pixels, held_out, 32)
    needed = chosen.photographs * planning._passes(chosen.rounds) * chosen.centre**2
    smallest = (96, planning.FEWEST_ROUNDS, min(planning.FEWEST_PHOTOGRAPHS, held_out))
    assert needed <= pixels or (chosen.centre, chosen.rounds, chosen.photographs) == smallest


def test_a_faster_teacher_is_measured_on_larger_centres_then_on_more_photographs_in_more_rounds() -> None:
    chosen = [planning._measuring(pixels, 8, 32) for pixels in (1e5, 1e6, 1.2e6, 1e9)]
    assert [(each.photographs, each.rounds) for each in chosen] == [(3, 1), (8, 1), (8, 2), (8, 2)]
    assert chosen[-1].centre == planning.CENTRES[0]


def test_a_centre_holds_at_least_two_tiles() -> None:
    assert planning._measuring(1, 8, 64).centre == 128


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
