"""Claims about the arguments of `lowvision show`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowvision.commands.show.request import ShowRequest, parse
from lowvision.errors import UsageError


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_size_is_width_and_height(width: int, height: int) -> None:
    request = parse(["channels=8"], f"{width}x{height}", 2)
    assert request == ShowRequest(("channels=8",), width, height, 2)


def test_without_a_size_costs_are_of_a_tile() -> None:
    assert parse([], None, None) == ShowRequest()


@pytest.mark.parametrize("size", ["", "32", "0x32", "32x0", "032x32", "32x32x3", "-1x5", "32 x 32", "1.5x2", "32x32\n"])
def test_another_size_is_an_error_with_an_example(size: str) -> None:
    with pytest.raises(UsageError, match=r"must be width and height in pixels; give e\.g\. 32x32"):
        parse([], size, None)
