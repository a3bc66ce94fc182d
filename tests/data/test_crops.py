"""Claims about the crops of photographs on which a teacher runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowvision.data import crops
from lowvision.data.photographs import Photograph, Window
from lowvision.errors import DataError


def photographs(*sizes: tuple[int, int]) -> list[Photograph]:
    windows = [Window(0, 0, *size) for size in sizes]  # sizes without files: only windows are computed here
    return [Photograph(str(n), None, Path(f"{n}.npy"), 2, window=window) for n, window in enumerate(windows)]


sides = st.integers(1, 70)


@given(st.lists(st.tuples(sides, sides), min_size=1, max_size=4), st.integers(1, 40), st.integers(8, 32))
def test_crops_lie_inside_and_do_not_overlap(sizes: list[tuple[int, int]], count: int, side: int) -> None:
    drawn = crops.drawn(photographs(*sizes), count, side, seed=1)
    assert 1 <= len(drawn) <= count
    assert len({crop.name for crop in drawn}) == len(drawn)
    covered = [np.zeros(size, dtype=int) for size in sizes]
    for crop in drawn:
        assert crop.window is not None
        number = int(crop.name.partition("+")[0])
        inside = covered[number][crop.window.rows, crop.window.columns]
        assert inside.shape == crop.lq_size == (min(side, sizes[number][0]), min(side, sizes[number][1])) or (
            min(sizes[number]) >= side
        )
        inside += 1
    assert max(part.max() for part in covered) == 1


@given(st.integers(1, 30), st.integers(1, 30))
def test_a_larger_number_of_crops_extends_the_smaller_selection(few: int, many: int) -> None:
    whole = photographs((64, 64), (90, 33), (20, 100))
    few, many = sorted((few, many))
    first = [crop.name for crop in crops.drawn(whole, few, 16, seed=3)]
    assert [crop.name for crop in crops.drawn(whole, many, 16, seed=3)][: len(first)] == first


def test_a_centre_crop_keeps_the_name_and_has_at_most_the_given_size() -> None:
    (large, small) = (crops.centre(photograph, 32) for photograph in photographs((50, 81), (10, 40)))
    assert (large.name, large.window) == ("0", Window(9, 24, 32, 32))
    assert small.window == Window(0, 4, 10, 32)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 20), st.integers(0, 16))
def test_context_is_cut_at_the_image_border(top: int, left: int, side: int, margin: int) -> None:
    height, width = top + side + 5, left + side
    outer = Window(top, left, side, side).extended(margin, height, width)
    assert outer.top == max(0, top - margin)
    assert outer.left == max(0, left - margin)
    assert outer.top + outer.height == min(height, top + side + margin)
    assert outer.left + outer.width == width


def test_a_photograph_without_ground_truth_is_reported() -> None:
    with pytest.raises(DataError, match="has no ground truth; name a teacher"):
        _ = photographs((8, 8))[0].gt
