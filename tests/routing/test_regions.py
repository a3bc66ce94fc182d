"""Tiles of one branch merge into regions that cover every tile once; windows hold what their regions keep."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowvision.routing.regions import Geometry, Region, merged, window
from lowvision.routing.tiling import plan

CHOICES = st.integers(1, 7).flatmap(
    lambda columns: st.lists(st.lists(st.integers(0, 2), min_size=columns, max_size=columns), min_size=1, max_size=7)
)
GEOMETRIES = st.builds(Geometry, st.sampled_from([1, 2, 4]), st.integers(0, 9), st.sampled_from([1, 4]))


@settings(max_examples=80, deadline=None)
@given(choice=CHOICES, geometry=GEOMETRIES)
def test_every_tile_is_in_one_region_and_goes_to_its_own_branch(choice, geometry):
    seen = {}
    for region in merged(choice, geometry):
        assert max(region.rows, region.columns) <= max(1, geometry.merge)
        for row in range(region.row, region.row + region.rows):
            for column in range(region.column, region.column + region.columns):
                assert (row, column) not in seen
                seen[row, column] = region.branch
    assert seen == {(r, c): choice[r][c] for r in range(len(choice)) for c in range(len(choice[0]))}


def test_the_largest_regions_are_selected_first():
    choice = [[0, 0, 1], [0, 0, 1]]
    assert merged(choice, Geometry(merge=2), first_row=4) == [Region(4, 0, 2, 2, 0), Region(4, 2, 2, 1, 1)]


@given(choice=CHOICES, geometry=GEOMETRIES, most=st.integers(0, 20))
def test_no_region_of_a_mixed_choice_takes_more_tiles_than_allowed(choice, geometry, most):
    regions = merged(choice, geometry, most=most)
    if len({branch for row in choice for branch in row}) > 1:
        assert max(region.rows * region.columns for region in regions) <= max(1, most)


@pytest.mark.parametrize(
    ("rows", "columns", "sizes"),
    [
        (1, 1, {(1, 1)}),
        (3, 4, {(3, 4)}),
        (4, 4, {(4, 2)}),
        (8, 3, {(4, 3)}),
        (1, 9, {(1, 4), (1, 5)}),
        (8, 20, {(8, 6), (8, 7)}),
    ],
)
def test_tiles_of_one_branch_are_divided_evenly(rows, columns, sizes):
    regions = merged([[2] * columns] * rows, Geometry(merge=8))
    assert {(region.rows, region.columns) for region in regions} == sizes


def test_without_merging_tiles_of_one_branch_stay_alone():
    assert len(merged([[0] * 5] * 4, Geometry())) == 20


@pytest.mark.parametrize(
    ("merge", "shapes"), [(1, [(1, 1)]), (2, [(2, 2), (1, 2), (2, 1), (1, 1)]), (3, [(2, 2), (1, 2), (2, 1), (1, 1)])]
)
def test_the_sides_of_regions_of_a_mixed_choice_are_powers_of_two(merge, shapes):
    assert list(Geometry(merge).shapes()) == shapes


@settings(max_examples=100, deadline=None)
@given(height=st.integers(1, 120), width=st.integers(1, 120), geometry=GEOMETRIES, draw=st.data())
def test_a_window_contains_its_region_and_the_available_context(height, width, geometry, draw):
    where = plan(height, width, 16, 4)
    rows, columns = draw.draw(st.sampled_from(geometry.shapes()))
    rows, columns = min(rows, len(where.tops)), min(columns, len(where.lefts))
    row = draw.draw(st.integers(0, len(where.tops) - rows))
    column = draw.draw(st.integers(0, len(where.lefts) - columns))
    actual = window(Region(row, column, rows, columns, 1), where, geometry)
    assert (actual.branch, actual.tiles) == (1, rows * columns)
    for length, side, start, kept in (
        (height, actual.height, actual.top, actual.rows),
        (width, actual.width, actual.left, actual.columns),
    ):
        assert side % geometry.multiple_of == 0
        assert start >= 0
        assert start + side <= max(length, -(-length // geometry.multiple_of) * geometry.multiple_of)
        assert kept[0] - start >= min(kept[0], geometry.halo)
        assert start + side - kept[1] >= min(length - kept[1], geometry.halo)


def test_windows_of_one_shape_have_the_same_size_everywhere():
    where, geometry = plan(200, 200, 32, 4), Geometry(merge=2, halo=3)
    places = [(r, c) for r in range(len(where.tops) - 1) for c in range(len(where.lefts) - 1)]
    assert {(w.height, w.width) for r, c in places for w in [window(Region(r, c, 2, 2, 0), where, geometry)]} == {
        (66, 66)
    }
