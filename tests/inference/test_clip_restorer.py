"""Claims about frames of a clip: what is copied from the frame before changes no result."""

from __future__ import annotations

from typing import Any

import clips
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowvision.inference import restorer
from lowvision.inference.clip_restorer import ClipRestorer
from lowvision.plugins import registry

KNOWN = registry.load()


@pytest.fixture(scope="session")
def network(weights_file: Any) -> restorer.Restorer:
    return restorer.load(weights_file, device="cpu", runtime="torch", registry=KNOWN)


RECTANGLE = st.tuples(*[st.integers(0, 79)] * 2, *[st.integers(1, 30)] * 2, st.integers(0, 255))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.lists(RECTANGLE, max_size=2), min_size=1, max_size=5),
    budget=st.sampled_from([None, 0.3, 0.6, 0.9]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
)
def test_exact_mode_gives_the_same_frames_as_off(
    network: restorer.Restorer, changes: list[list[tuple[int, ...]]], budget: float | None, dtype: type
) -> None:
    frame = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (80, 80, 3), dtype)
    frame[20:, 30:] //= 4  # so that tiles differ in difficulty
    clip = ClipRestorer(network, still="exact", budget=budget)
    for rectangles in changes:
        frame = frame.copy()
        for top, left, height, width, value in rectangles:
            frame[top : top + height, left : left + width] = value
        np.testing.assert_array_equal(clip.restore(frame).pixels, network.restore(frame, budget=budget).image)


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_exact_mode_equals_off_for_every_runtime_and_thread_count(weights_file: Any, runtime: str) -> None:
    network = restorer.load(weights_file, device="cpu", runtime=runtime, registry=KNOWN)
    clip = ClipRestorer(network, still="exact", budget=0.7)
    for frame in clips.drawn(4, 90, 130, step=11):
        restored = clip.restore(frame)
        np.testing.assert_array_equal(restored.pixels, network.restore(frame, budget=0.7).image)
    assert 0.2 < restored.reused_tiles / restored.tiles < 1


def test_only_changed_windows_are_computed(network: restorer.Restorer) -> None:
    frames = clips.drawn(3, 90, 130)
    clip = ClipRestorer(network, still="exact")
    first, second, again = (clip.restore(frame) for frame in (frames[0], frames[1], frames[1]))
    assert first.reused_tiles == 0
    assert first.cost == network.restore(frames[0]).cost
    assert 0 < second.cost < first.cost / 2
    assert (again.cost, again.reused_tiles) == (0, again.tiles)


def test_a_budget_that_changes_the_branch_of_an_unchanged_tile_recomputes_it(network: restorer.Restorer) -> None:
    flat = np.full((80, 80, 3), 128, np.uint8)
    busy = flat.copy()
    busy[:40] = np.random.default_rng(1).integers(0, 255, (40, 80, 3), np.uint8)
    clip = ClipRestorer(network, still="exact", budget=0.6)
    for frame in (flat, busy, flat):
        np.testing.assert_array_equal(clip.restore(frame).pixels, network.restore(frame, budget=0.6).image)


def test_visual_mode_ignores_decoder_noise(network: restorer.Restorer) -> None:
    (still,) = clips.drawn(1, 90, 130)
    noisy = np.clip(still.astype(int) + np.random.default_rng(0).integers(-1, 2, still.shape), 0, 255).astype(np.uint8)
    exact, visually = ClipRestorer(network, still="exact"), ClipRestorer(network, still="visually")
    for clip in (exact, visually):
        clip.restore(still)
    assert exact.restore(noisy).reused_tiles == 0
    repeated = visually.restore(noisy)
    assert repeated.reused_tiles == repeated.tiles
    difference = repeated.pixels.astype(int) - network.restore(noisy).image
    assert np.abs(difference).mean() < 2
