"""Claims about codecs, their options and the pixel format of results."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from lowvision.errors import UsageError
from lowvision.video import encoding
from lowvision.video.colour import Tags
from lowvision.video.reader import Facts

FACTS = Facts(48, 64, Fraction(1, 1000), Fraction(25), 10, Tags(1, 1, 1, 1), 8, "yuv420p", None, None)


@pytest.mark.parametrize(
    ("facts", "codec", "size", "expected"),
    [
        (FACTS, "h264", (96, 128), "yuv420p"),
        (FACTS, "h264", (97, 128), "yuv444p"),
        (FACTS, "prores", (96, 128), "yuv422p10le"),
        (replace(FACTS, pixel_format="yuvj422p"), "h264", (96, 128), "yuv422p"),
        (replace(FACTS, pixel_format="yuv444p10le", bits=10), "hevc", (96, 128), "yuv444p10le"),
        (replace(FACTS, pixel_format="yuv422p12le", bits=12), "av1", (96, 128), "yuv420p10le"),
        (replace(FACTS, pixel_format="gbrp"), "h264", (96, 128), "yuv420p"),
    ],
)
def test_depth_and_chroma_follow_the_clip_if_the_codec_supports_them(
    facts: Facts, codec: str, size: tuple[int, int], expected: str
) -> None:
    assert encoding.pixel_format(facts, codec, *size) == expected


def test_the_suffix_selects_the_codec() -> None:
    assert encoding.encoding(".webm", None, None, None).codec == "av1"
    assert encoding.encoding(".mp4", None, None, None).options == {"crf": "17", "preset": "medium"}


@pytest.mark.parametrize(
    ("codec", "crf", "preset", "option"),
    [("h264", 52, None, "--crf 52"), ("ffv1", 10, None, "--crf 10"), ("prores", None, "slow", "--preset slow")],
)
def test_unsupported_codec_options_are_refused(codec: str, crf: int | None, preset: str | None, option: str) -> None:
    with pytest.raises(UsageError, match=option):
        encoding.encoding(".mkv", codec, crf, preset)


def test_an_unknown_preset_is_a_usage_error() -> None:
    settings = encoding.encoding(".mp4", None, None, "fastest")
    with pytest.raises(UsageError, match="--preset"):
        encoding.target(FACTS, settings, 96, 128, ".mp4").open()


def test_an_unwritable_suffix_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"\.mp4 or \.mkv"):
        encoding.container_of(".docx")
