"""Tiles cover every pixel of any image, and blending loses nothing."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowvision.routing.tiling import blend, plan, split

SIZES = st.integers(1, 90)


@settings(max_examples=80, deadline=None)
@given(
    height=SIZES, width=SIZES, size=st.integers(8, 33), overlap=st.integers(0, 4), scale=st.sampled_from([1, 2, 3, 4])
)
def test_an_identity_network_gives_the_image_back_exactly(height, width, size, overlap, scale):
    image = torch.rand(3, height, width)
    where = plan(height, width, size, overlap)
    enlarged = split(image, where).repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    assert torch.equal(blend(enlarged, where, scale), image.repeat_interleave(scale, 1).repeat_interleave(scale, 2))


@settings(max_examples=80, deadline=None)
@given(height=SIZES, width=SIZES, size=st.integers(8, 33), overlap=st.integers(0, 4))
def test_every_pixel_lies_in_a_tile_and_neighbours_overlap_at_least_as_asked(height, width, size, overlap):
    where = plan(height, width, size, overlap)
    for length, starts in ((height, where.tops), (width, where.lefts)):
        assert starts[0] == 0
        assert starts[-1] + size >= length
        assert all(b - a <= size - overlap for a, b in pairwise(starts))


def test_the_last_tile_is_flush_with_the_border():
    assert plan(70, 32, 32, 4).tops == (0, 28, 38)


def test_an_image_smaller_than_a_tile_is_filled_with_its_edge_pixels():
    image = torch.rand(3, 5, 1)
    (tile,) = split(image, plan(5, 1, 8, 2))
    assert torch.equal(tile[:, :5, 0], image[:, :, 0])
    assert torch.equal(tile[:, 7, 7], image[:, 4, 0])


def test_an_empty_image_is_refused():
    with pytest.raises(ValueError, match="no pixels"):
        plan(0, 5, 32, 4)


def test_where_neighbours_disagree_one_fades_into_the_other_without_a_jump():
    where = plan(8, 14, 8, 2)
    tiles = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)])
    row = blend(tiles, where, 1)[0, 0]
    assert row[:6].eq(0).all()
    assert row[8:].eq(1).all()
    torch.testing.assert_close(row[6:8], torch.tensor([0.25, 0.75]))


def test_a_turned_image_blends_to_the_turned_result():
    torch.manual_seed(0)
    where, turned = plan(30, 44, 16, 4), plan(44, 30, 16, 4)
    tiles = torch.rand(where.count, 3, 16, 16)
    grid = tiles.unflatten(0, (len(where.tops), len(where.lefts)))
    other = grid.transpose(0, 1).transpose(3, 4).flatten(0, 1)
    torch.testing.assert_close(blend(tiles, where, 1).transpose(1, 2), blend(other, turned, 1))
