"""Claims about the decoding times of frames that were encoded in segments."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lowvision.video.muxing import decoding_times


@given(
    gaps=st.lists(st.integers(1, 1000), min_size=1, max_size=40),
    start=st.integers(-100, 100),
    seed=st.integers(0, 9),
    length=st.integers(1, 8),
)
def test_decoding_times_increase_and_never_exceed_display_times(
    gaps: list[int], start: int, seed: int, length: int
) -> None:
    times = start + np.cumsum(gaps)
    order = np.random.default_rng(seed)
    parts = [order.permutation(times[first : first + length]) for first in range(0, len(times), length)]
    encoded = np.concatenate(parts)
    decoding = np.array(list(decoding_times(encoded, 40)))
    assert len(decoding) == len(times)
    assert (np.diff(decoding) > 0).all()
    assert (decoding <= encoded).all()


def test_frames_in_display_order_have_equal_decoding_and_display_times() -> None:
    assert list(decoding_times(np.array([0, 40, 90]), 40)) == [0, 40, 90]
