"""Claims about the processes that share an evaluation."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lowvision.data.photographs import Photograph, Window
from lowvision.evaluation.run import _share


@given(heights=st.lists(st.integers(1, 9), max_size=9), count=st.integers(1, 4))
def test_every_photograph_has_one_process_and_each_starts_with_its_largest(heights: list[int], count: int) -> None:
    photographs = [Photograph("a", Path("a"), None, 1, window=Window(0, 0, height, 1)) for height in heights]
    shares = [_share(photographs, index, count) for index in range(count)]
    assert sorted(number for share in shares for number in share) == [*range(len(heights))]
    assert count == 1 or all(
        [heights[number] for number in share] == sorted((heights[number] for number in share), reverse=True)
        for share in shares
    )
