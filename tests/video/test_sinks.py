"""Claims about the receivers of restored frames: encoders and numbered files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lowvision.errors import UsageError
from lowvision.imaging import io
from lowvision.video import encoding
from lowvision.video.colour import Tags
from lowvision.video.reader import Facts, Frame
from lowvision.video.sinks import Encoder, ImageFiles

FACTS = Facts(16, 16, Fraction(1, 1000), Fraction(25), 4, Tags(1, 1, 1, 1), 8, "yuv420p", None, None)


def frame(number: int) -> Frame:
    return Frame(number=number, time=40 * number, pixels=np.zeros((4, 6, 3), np.uint8))


def test_each_frame_becomes_the_file_of_its_number(tmp_path: Path) -> None:
    sink = ImageFiles(tmp_path / "a%%_%03d.png", 95)
    sink.begin()
    for number in (7, 12):
        assert sink.add(np.full((4, 6, 3), number, np.uint8), frame(number)) == []
    assert sink.end() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a%_007.png", "a%_012.png"]
    assert (io.read(tmp_path / "a%_012.png").pixels == 12).all()


@pytest.mark.parametrize("name", ["50%done_%03d.png", "%d_%d.png", "%s%q_%d.png"])
def test_another_use_of_percent_signs_is_an_error_before_the_first_frame(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"must have one number, .*; write %% for a percent sign"):
        ImageFiles(tmp_path / name, 95)


def test_a_format_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write '\.gif'; give e\.g\. %05d\.png"):
        ImageFiles(tmp_path / "%d.gif", 95)


def test_every_segment_begins_with_a_keyframe_and_keeps_the_times_of_its_frames() -> None:
    settings = encoding.encoding(".mkv", "h264", 20, "ultrafast")
    sink = Encoder(encoding.target(FACTS, settings, 16, 16, ".mkv"))
    for first in (0, 3):
        sink.begin()
        packets = []
        for number in range(first, first + 3):
            packets += sink.add(np.full((16, 16, 3), 20 * number, np.uint8), frame(number))
        packets += sink.end()
        assert packets[0].is_keyframe
        assert sorted(packet.time for packet in packets) == [40 * number for number in range(first, first + 3)]
