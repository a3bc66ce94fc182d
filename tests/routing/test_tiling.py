"""Tiles cover every pixel of any image; seams lie where tiles overlap."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowvision.routing.tiling import _gathered, cut, cut_all, plan, split, unit

SIZES = st.integers(1, 90)


@settings(max_examples=80, deadline=None)
@given(height=SIZES, width=SIZES, size=st.integers(8, 33), overlap=st.integers(0, 4))
def test_every_pixel_is_in_a_tile_and_neighbours_overlap_by_at_least_the_option(height, width, size, overlap):
    where = plan(height, width, size, overlap)
    for length, starts in ((height, where.tops), (width, where.lefts)):
        assert starts[0] == 0
        assert starts[-1] + size >= length
        assert all(b - a <= size - overlap for a, b in pairwise(starts))


@settings(max_examples=80, deadline=None)
@given(height=SIZES, width=SIZES, size=st.integers(8, 33), half=st.floats(0, 0.5))
def test_seams_lie_within_the_overlap_of_two_tiles_and_do_not_intersect(height, width, size, half):
    where = plan(height, width, size, int(size * half))
    for starts, seams in ((where.tops, where.seams_down), (where.lefts, where.seams_right)):
        assert len(seams) == len(starts) - 1
        for (before, after), (first, last) in zip(pairwise(starts), seams, strict=True):
            assert after <= first <= last <= before + size
        assert all(seam[1] <= other[0] for seam, other in pairwise(seams))


def test_seams_have_the_width_of_the_overlap_if_there_is_room():
    assert plan(70, 32, 32, 4).seams_down == ((23, 27), (42, 46))


def test_tiles_are_evenly_spread_from_border_to_border():
    assert plan(70, 32, 32, 4).tops == (0, 19, 38)


def test_the_grid_equals_that_of_the_paper_if_it_fills_the_image():
    assert plan(508, 32, 32, 4).tops == tuple(range(0, 480, 28))


@settings(max_examples=80, deadline=None)
@given(length=st.integers(1, 4000), size=st.integers(8, 64), half=st.floats(0, 0.5))
def test_the_number_of_tiles_is_minimal_and_steps_differ_by_at_most_one_pixel(length, size, half):
    starts, stride = plan(length, 1, size, int(size * half)).tops, size - int(size * half)
    assert (len(starts) - 2) * stride + size < length or len(starts) == 1
    steps = [after - before for before, after in pairwise(starts)]
    assert not steps or max(steps) - min(steps) <= 1


def test_an_image_smaller_than_a_tile_is_padded_with_edge_pixels():
    image = torch.rand(3, 5, 1)
    (tile,) = split(image, plan(5, 1, 8, 2))
    assert torch.equal(tile[:, :5, 0], image[:, :, 0])
    assert torch.equal(tile[:, 7, 7], image[:, 4, 0])


def test_tiles_can_be_read_in_parts():
    image = torch.rand(3, 40, 50)
    where = plan(40, 50, 16, 4)
    everything = split(image, where)
    assert len(everything) == where.count
    assert torch.equal(split(image, where, 5, 4), everything[5:9])


def test_an_empty_image_is_refused():
    with pytest.raises(ValueError, match="no pixels"):
        plan(0, 5, 32, 4)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_all_pieces_are_cut_alike_on_processors_and_on_accelerators(dtype):
    image = (255 * torch.rand(3, 20, 31, generator=torch.Generator().manual_seed(0))).to(dtype)
    corners = [(0, 0), (12, 21), (3, 7)]
    pieces = torch.stack([cut(image, top, left, 8, 10) for top, left in corners])
    assert torch.equal(cut_all(image, corners, 8, 10), pieces)
    assert torch.equal(unit(_gathered(image, corners, 8, 10)), pieces)
