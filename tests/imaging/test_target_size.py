"""Claims about the requested size of a result."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowvision.errors import UsageError
from lowvision.imaging.target_size import TargetSize

SIDES = st.integers(1, 5000)


@pytest.mark.parametrize(
    "sizes", [{"scale": 2.0, "width": 10}, {"scale": 2.0, "megapixels": 1.0}, {"height": 10, "megapixels": 1.0}]
)
def test_two_kinds_of_size_exclude_each_other(sizes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--scale, --megapixels, and --width or --height exclude each other; give one"):
        TargetSize(**sizes)


@pytest.mark.parametrize("name", ["scale", "width", "height", "megapixels"])
@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
def test_a_size_is_positive_and_finite(name: str, value: float) -> None:
    with pytest.raises(UsageError, match="must be positive"):
        TargetSize(**{name: value})


@pytest.mark.parametrize(
    "sizes", [{"scale": 2.0, "width": 0}, {"megapixels": 1.0, "height": 0}, {"width": 0, "height": 5}]
)
def test_a_side_of_zero_is_an_error_next_to_any_other_size(sizes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        TargetSize(**sizes)


@given(height=SIDES, width=SIDES, box=st.tuples(SIDES, SIDES))
def test_the_result_fits_into_the_box_and_touches_it(height: int, width: int, box: tuple[int, int]) -> None:
    result = TargetSize(height=box[0], width=box[1]).of(height, width, default_scale=4)
    assert result[0] <= box[0]
    assert result[1] <= box[1]
    assert result[0] == box[0] or result[1] == box[1]


@given(height=SIDES, width=SIDES)
def test_one_side_keeps_the_proportions(height: int, width: int) -> None:
    result = TargetSize(width=3 * width).of(height, width, default_scale=4)
    assert result == (3 * height, 3 * width)
    assert TargetSize(height=2 * height).of(height, width, default_scale=4) == (2 * height, 2 * width)


@given(height=st.integers(50, 5000), width=st.integers(50, 5000), megapixels=st.floats(0.1, 100))
def test_megapixels_are_those_of_the_result(height: int, width: int, megapixels: float) -> None:
    rows, columns = TargetSize(megapixels=megapixels).of(height, width, default_scale=4)
    assert rows * columns == pytest.approx(megapixels * 1e6, abs=rows + columns)


def test_the_default_is_the_scale_of_the_network_and_no_side_becomes_zero() -> None:
    assert TargetSize().of(10, 20, default_scale=4) == (40, 80)
    assert TargetSize(scale=1.5).of(10, 20, default_scale=4) == (15, 30)
    assert TargetSize(scale=0.01).of(10, 2000, default_scale=4) == (1, 20)
