"""Calibration and report fit into the time: slow teachers are measured on fewer pixels."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lowvision.commands.accelerate import thoroughness
from lowvision.commands.accelerate.thoroughness import Thoroughness
from lowvision.models.architecture import Tile
from lowvision.routing import tiling

SMALL = Tile(size=32, overlap=4)


@given(pixels=st.floats(1, 1e9), held_out=st.integers(1, 8))
def test_calibration_and_report_fit_into_their_time_unless_even_the_smallest_do_not(
    pixels: float, held_out: int
) -> None:
    chosen = Thoroughness.within(pixels, held_out, SMALL)
    needed = chosen.photographs * thoroughness._passes(chosen.rounds, SMALL) * chosen.centre**2
    smallest = (88, thoroughness.FEWEST_ROUNDS, min(thoroughness.FEWEST_PHOTOGRAPHS, held_out))
    assert needed <= pixels or (chosen.centre, chosen.rounds, chosen.photographs) == smallest


def test_a_faster_teacher_is_measured_on_larger_centres_then_on_more_photographs_in_more_rounds() -> None:
    chosen = [Thoroughness.within(pixels, 8, SMALL) for pixels in (1e5, 9e5, 1.2e6, 1e9)]
    assert [(each.photographs, each.rounds) for each in chosen] == [(3, 1), (8, 1), (8, 2), (8, 2)]
    assert chosen[-1].centre == 508


def test_windows_whose_borders_are_measured_are_passes_too() -> None:
    far = Tile(size=64, overlap=4, merge=8)
    small, more = (thoroughness._passes(thoroughness.ROUNDS, tile) for tile in (SMALL, far))
    assert more == small + thoroughness.BORDER_PASSES
    limits = [3 * passes * 484**2 for passes in (small, more)]
    assert [Thoroughness.within(pixels, 3, far).centre for pixels in limits] == [364, 484]


@given(pixels=st.floats(1, 1e9), size=st.sampled_from([16, 32, 48, 64, 128]), overlap=st.integers(0, 8))
def test_tiles_fit_into_a_centre_without_more_overlap_than_they_need(pixels: float, size: int, overlap: int) -> None:
    centre = Thoroughness.within(pixels, 8, Tile(size=size, overlap=overlap)).centre
    plan = tiling.plan(centre, centre, size, overlap)
    assert len(plan.tops) >= 2
    assert {after - before for before, after in pairwise(plan.tops)} == {size - overlap}
