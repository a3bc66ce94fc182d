"""Claims about images in memory: orientation, depth, channels that a profile describes."""

from __future__ import annotations

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowvision.imaging.image import Frames, Image, converted, describes, oriented, spread


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_exif_is_applied_as_by_pillow(orientation: int) -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    picture = PIL.Image.fromarray(pixels)
    picture.getexif()[274] = orientation
    np.testing.assert_array_equal(oriented(pixels, orientation), np.asarray(PIL.ImageOps.exif_transpose(picture)))


def test_an_unknown_orientation_changes_nothing() -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    for orientation in (0, 9, -1):
        assert np.array_equal(oriented(pixels, orientation), pixels)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=9))
def test_eight_bits_survive_sixteen_bits_and_floats(values: list[int]) -> None:
    pixels = np.array(values, np.uint8).reshape(1, -1, 1)
    assert np.array_equal(converted(converted(pixels, np.uint16), np.uint8), pixels)
    assert np.array_equal(converted(pixels.astype(np.float32) / 255, np.uint8), pixels)


def test_floats_outside_the_range_are_clamped_and_halves_rounded_up() -> None:
    pixels = np.array([-3.0, -0.0, 0.5 / 255, 1.0, 7.0, np.inf], np.float32).reshape(1, -1, 1)
    assert converted(pixels, np.uint8).ravel().tolist() == [0, 0, 1, 255, 255, 255]


@pytest.mark.parametrize("bits", range(1, 17))
def test_the_values_of_any_depth_spread_over_the_whole_range(bits: int) -> None:
    values = np.arange(2**bits).astype(np.uint16)
    spreaded = spread(values, bits)
    largest = 255 if bits <= 8 else 65535
    assert spreaded.dtype == (np.uint8 if bits <= 8 else np.uint16)
    assert (spreaded[0], spreaded[-1]) == (0, largest)
    assert np.abs(spreaded - values * (largest / (2**bits - 1))).max() <= 0.5
    if bits < 16:
        assert spread(np.array([2**16 - 1], np.uint16), bits)[0] == largest or bits == 8


def test_a_profile_describes_the_channels_that_it_names() -> None:
    grey, colour = np.zeros((1, 1, 1), np.uint8), np.zeros((1, 1, 4), np.uint8)
    assert describes(bytes(16) + b"GRAY", grey)
    assert not describes(bytes(16) + b"GRAY", colour)
    assert describes(bytes(16) + b"RGB ", colour)
    assert not describes(bytes(16) + b"CMYK", colour)
    assert not describes(None, colour)
    assert not describes(b"short", grey)


def test_colour_and_alpha_are_parts_of_the_pixels() -> None:
    pixels = np.arange(8, dtype=np.uint8).reshape(1, 2, 4)
    image = Image(pixels)
    assert image.alpha is not None
    np.testing.assert_array_equal(np.concatenate([image.colour, image.alpha], axis=2), pixels)
    for channels in (1, 3):
        opaque = Image(pixels[..., :channels])
        assert opaque.alpha is None
        assert opaque.colour.shape[2] == channels


def test_frames_with_times_are_an_animation_and_pages_are_none() -> None:
    images = [Image(np.zeros((1, 1, 1), np.uint8))] * 2
    assert Frames(images, (40.0, 40.0)).is_animation
    assert not Frames(images).is_animation
