"""Claims about alpha: no hidden colour leaks, premultiplied colour is divided, compositing is exact."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lowvision.imaging import alpha


def disc(dtype: type = np.uint8) -> np.ndarray:
    """Return a white disc on transparent black."""
    y, x = np.mgrid[0:32, 0:32]
    inside = (x - 15.5) ** 2 + (y - 15.5) ** 2 < 100
    largest = 1 if dtype is np.float32 else np.iinfo(dtype).max
    return np.repeat(inside[..., None], 4, axis=2).astype(dtype) * dtype(largest)


def test_transparent_pixels_take_the_colour_of_visible_ones() -> None:
    for dtype in (np.uint8, np.uint16, np.float32):
        pixels = disc(dtype)
        bled = alpha.bled(pixels)
        assert (bled[..., :3] == pixels.max()).all()
        np.testing.assert_array_equal(bled[..., 3], pixels[..., 3])


@given(seed=st.integers(0, 1000), opaque=st.integers(1, 60))
def test_transparent_pixels_take_the_nearest_colour_and_visible_ones_do_not_change(seed: int, opaque: int) -> None:
    random = np.random.default_rng(seed)
    pixels = random.integers(1, 256, (8, 9, 4), dtype=np.uint8)
    hidden = np.ones(72, bool)
    hidden[random.choice(72, opaque, replace=False)] = False
    hidden = hidden.reshape(8, 9)
    pixels[hidden, 3] = 0
    bled = alpha.bled(pixels)
    np.testing.assert_array_equal(bled[~hidden], pixels[~hidden])
    visible = {tuple(colour) for colour in pixels[~hidden, :3].tolist()}
    assert {tuple(colour) for colour in bled[hidden, :3].tolist()} <= visible


def test_a_fully_transparent_or_opaque_image_is_unchanged() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 4), dtype=np.uint8)
    for value in (0, 255):
        pixels[..., 3] = value
        np.testing.assert_array_equal(alpha.bled(pixels), pixels)


def test_flattening_blends_colour_and_background_by_alpha() -> None:
    pixels = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [100, 100, 100, 51]]], dtype=np.uint8)
    expected = [[10, 20, 30], [200, 0, 100], [180, 20, 100]]  # the last: a fifth of 100, four fifths of the background
    assert alpha.flattened(pixels, (200, 0, 100))[0].tolist() == expected
    deep = (pixels.astype(np.uint16) * 257, pixels.astype(np.float32) / 255)
    np.testing.assert_array_equal(alpha.flattened(deep[0], (200, 0, 100))[0], np.array(expected) * 257)
    np.testing.assert_allclose(alpha.flattened(deep[1], (200, 0, 100))[0] * 255, expected, atol=1e-3)
