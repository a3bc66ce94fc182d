"""Calibration and report fit into the time: slow teachers are measured on fewer pixels."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lowvision.commands.accelerate import thoroughness
from lowvision.commands.accelerate.thoroughness import Thoroughness


@given(pixels=st.floats(1, 1e9), held_out=st.integers(1, 8))
def test_calibration_and_report_fit_into_their_time_unless_even_the_smallest_do_not(
    pixels: float, held_out: int
) -> None:
    chosen = Thoroughness.within(pixels, held_out, 32)
    needed = chosen.photographs * thoroughness._passes(chosen.rounds) * chosen.centre**2
    smallest = (96, thoroughness.FEWEST_ROUNDS, min(thoroughness.FEWEST_PHOTOGRAPHS, held_out))
    assert needed <= pixels or (chosen.centre, chosen.rounds, chosen.photographs) == smallest


def test_a_faster_teacher_is_measured_on_larger_centres_then_on_more_photographs_in_more_rounds() -> None:
    chosen = [Thoroughness.within(pixels, 8, 32) for pixels in (1e5, 1e6, 1.2e6, 1e9)]
    assert [(each.photographs, each.rounds) for each in chosen] == [(3, 1), (8, 1), (8, 2), (8, 2)]
    assert chosen[-1].centre == thoroughness.CENTRES[0]


def test_a_centre_holds_at_least_two_tiles() -> None:
    assert Thoroughness.within(1, 8, 64).centre == 128
