"""Claims about the conversion between the YUV of clips and the RGB of networks."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowvision.errors import DataError
from lowvision.video import colour
from lowvision.video.colour import BT709, BT2020, FULL, LIMITED, SMPTE170M, SWSCALE, Tags


def frame(height: int = 16, width: int = 16, name: str = "yuv444p", **settings: Any) -> Any:
    made = av.VideoFrame(width, height, name)
    for plane in made.planes:
        plane.update(bytes(plane.buffer_size))
    for attribute, value in settings.items():
        setattr(made, attribute, value)
    return made


def tags(matrix: int = BT709, range_: int = LIMITED) -> Tags:
    return Tags(matrix, 1, 1, range_)


@pytest.mark.parametrize(
    ("height", "matrix"), [(480, SMPTE170M), (576, 5), (719, SMPTE170M), (720, BT709), (2160, BT709)]
)
def test_an_unknown_matrix_is_the_one_that_players_take_for_the_height(height: int, matrix: int) -> None:
    assert colour.tags_of(frame(height)).matrix == matrix


def test_known_tags_are_kept() -> None:
    known = frame(colorspace=BT2020, color_range=FULL, color_primaries=9, color_trc=16)
    assert colour.tags_of(known) == Tags(BT2020, 9, 16, FULL)
    assert colour.tags_of(frame(name="yuvj420p")).range == FULL


def test_rgb_becomes_yuv_of_hd() -> None:
    assert colour.tags_of(frame(name="gbrp")).matrix == BT709


def test_a_matrix_that_cannot_be_converted_is_an_error_with_a_way_out() -> None:
    with pytest.raises(DataError, match=r"the colour matrix 8 of ITU-T H\.273, .*; re-encode as BT\.709"):
        colour.tags_of(frame(colorspace=8))


@pytest.mark.parametrize(("name", "bits"), [("yuv420p", 8), ("yuv420p10le", 10), ("gbrp12le", 12)])
def test_bits_are_those_of_a_component_and_deep_frames_become_16_bit(name: str, bits: int) -> None:
    made = frame(name=name)
    assert colour.bits_of(made) == bits
    assert colour.to_pixels(made, tags()).dtype == (np.uint8 if bits == 8 else np.uint16)


@pytest.mark.parametrize("matrix", sorted(SWSCALE))
@pytest.mark.parametrize("range_", [LIMITED, FULL])
@pytest.mark.parametrize("name", ["yuv444p", "yuv444p10le"])
def test_colours_survive_both_conversions(matrix: int, range_: int, name: str) -> None:
    dtype, white = (np.uint8, 255) if name == "yuv444p" else (np.uint16, 65535)
    values = np.random.default_rng(0).integers(0, white + 1, (8, 8, 3)).astype(dtype)
    encoded = colour.to_frame(values, name, tags(matrix, range_))
    again = colour.to_pixels(encoded, tags(matrix, range_))
    assert np.abs(again.astype(float) - values).max() <= white * (4 / 255 if dtype is np.uint8 else 2 / 255)


@settings(max_examples=20, deadline=None)
@given(level=st.integers(0, 255))
def test_grey_is_the_luma_of_the_range(level: int) -> None:
    pixels = np.full((4, 4, 3), level, np.uint8)
    luma = {
        range_: int(colour.to_frame(pixels, "yuv444p", tags(range_=range_)).to_ndarray()[0].min())
        for range_ in (LIMITED, FULL)
    }
    assert luma[FULL] == pytest.approx(level, abs=1)
    assert luma[LIMITED] == pytest.approx(16 + 219 * level / 255, abs=1)
