"""Claims about detecting changed regions of a frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowvision.routing.changes import Changes

SIDES = st.integers(1, 40)


def noise(height: int, width: int, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (height, width, 3), dtype)


@given(height=SIDES, width=SIDES, data=st.data())
def test_exactly_the_rectangles_with_a_changed_pixel_are_returned(height: int, width: int, data: st.DataObject) -> None:
    before = noise(height, width)
    after = before.copy()
    spots = data.draw(st.lists(st.tuples(st.integers(0, height - 1), st.integers(0, width - 1)), max_size=4))
    for row, column in spots:
        after[row, column, 1] ^= 1
    changes = Changes("exact")
    changes.see(before)
    changes.see(after)
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    tall, wide = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 60))
    differs = (before != after)[top : top + tall, left : left + wide].any()
    assert changes.within(top, left, tall, wide) == differs
    assert changes.is_still == (before == after).all()


def test_everything_changes_in_the_first_frame_and_when_the_size_changes() -> None:
    for still in ("exact", "visually"):
        changes = Changes(still)
        for frame in (noise(20, 30), noise(30, 20), noise(30, 20, np.uint16)):
            changes.see(frame)
            assert changes.within([0, 8], [0, 8], 8, 8).all()
            changes.see(frame)
            assert changes.is_still


@pytest.mark.parametrize(("dtype", "level"), [(np.uint8, 1), (np.uint16, 257)])
def test_noise_of_one_level_is_a_change_in_exact_mode_only(dtype: type, level: int) -> None:
    before = np.full((24, 24, 3), 100 * level, dtype)
    after = before + noise(24, 24).astype(dtype) % 2 * level
    for still, expected in (("visually", True), ("exact", False)):
        changes = Changes(still)
        changes.see(before)
        changes.see(after)
        assert changes.is_still is expected


def test_a_thin_line_is_detected_as_a_change() -> None:
    before = np.full((24, 24, 3), 100, np.uint8)
    after = before.copy()
    after[10, 10] += 9
    changes = Changes("visually")
    changes.see(before)
    changes.see(after)
    assert changes.within(8, 8, 8, 8)
    assert not changes.within(0, 0, 8, 24)


def test_a_slow_fade_is_detected_as_a_change() -> None:
    changes = Changes("visually")
    noticed = []
    for level in range(100, 106):
        changes.see(np.full((16, 16, 3), level, np.uint8))
        noticed.append(not changes.is_still)
    assert noticed == [True, False, True, False, True, False]  # against the frame that was restored, not the last one


def test_a_scene_cut_is_detected_but_fast_motion_is_not() -> None:
    changes = Changes("visually")
    scene, other = noise(64, 64, seed=1), noise(64, 64, seed=2)
    cuts = []
    for frame in (scene, scene, other, np.roll(other, 9, 1), np.roll(other, 18, 1), scene, scene):
        changes.see(frame)
        cuts.append(changes.is_cut)
    assert cuts[:3] == [False, False, True]
    assert cuts[6] is False
    assert sum(cuts[3:6]) <= 1  # noise that moves looks like a new scene once
