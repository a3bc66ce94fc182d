"""Claims about reading clips frame by frame: ranges, times, facts, and files that cannot be read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import clips
import numpy as np
import pytest

from lowvision.errors import DataError, UsageError
from lowvision.imaging import io
from lowvision.imaging.io import Image
from lowvision.video.colour import Tags
from lowvision.video.reader import Facts, Reader, open_clip
from lowvision.video.selection import Span


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.write(tmp_path_factory.mktemp("clips") / "a.mp4", clips.drawn(7))


def test_the_facts_are_those_of_the_file(clip: Path) -> None:
    facts = open_clip(clip).facts
    assert (facts.height, facts.width, facts.rate, facts.count) == (48, 64, Fraction(25), 7)
    assert (facts.bits, facts.pixel_format, facts.display_matrix) == (8, "yuv420p", None)


def test_frames_are_numbered_and_their_times_grow(clip: Path) -> None:
    reader = open_clip(clip)
    frames = list(reader.frames())
    assert [frame.number for frame in frames] == list(range(7))
    assert [frame.time * reader.facts.time_base for frame in frames] == clips.times(clip)
    assert not any(frame.is_broken for frame in frames)
    drawn = clips.drawn(7)
    assert all(np.abs(frame.pixels.astype(int) - each).mean() < 8 for frame, each in zip(frames, drawn, strict=True))


@pytest.mark.parametrize("span", [Span(2), Span(0, 3), Span(2, 5), Span(6, 99), Span(7)])
def test_a_range_has_the_frames_of_the_whole_clip(clip: Path, span: Span) -> None:
    whole = list(open_clip(clip).frames())
    part = list(open_clip(clip).frames(span))
    assert [frame.number for frame in part] == [frame.number for frame in whole[span.first : span.stop]]
    for frame in part:
        assert np.array_equal(frame.pixels, whole[frame.number].pixels)


def test_a_clip_can_be_read_twice(clip: Path) -> None:
    reader = open_clip(clip)
    first, second = (next(iter(reader.frames())) for _ in range(2))
    assert np.array_equal(first.pixels, second.pixels)


def test_irregular_times_are_kept(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mkv", clips.drawn(4), times=[0, 40, 200, 210])
    reader = open_clip(path)
    assert [frame.time * reader.facts.time_base for frame in reader.frames()] == clips.times(path)
    assert clips.times(path)[2] == Fraction(1, 5)


def test_a_change_of_size_names_the_frame_and_the_cut(clip: Path) -> None:
    facts = Facts(24, 32, Fraction(1, 12800), Fraction(25), 7, Tags(1, 1, 1, 1), 8, "yuv420p", None, None)
    with pytest.raises(DataError, match=r"frame 2 has 64x48 pixels, the first one 32x24; cut the clip .*--frames :2"):
        list(Reader(clip, facts).frames(Span(2)))


def test_an_image_sequence_has_the_given_rate(tmp_path: Path) -> None:
    for number in (3, 4, 5):
        io.write(tmp_path / f"f{number:03d}.png", Image(np.full((8, 10, 3), 40 * number, np.uint8)))
    reader = open_clip(tmp_path / "f%03d.png", Fraction(10))
    assert reader.facts.rate == 10
    levels = [int(frame.pixels.mean()) for frame in reader.frames()]
    assert levels == [120, 160, 200]


def test_what_is_no_clip_is_an_error_that_begins_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no clip")
    with pytest.raises(DataError, match=r"text\.mp4: is no clip that FFmpeg can read: "):
        open_clip(tmp_path / "text.mp4")
    with pytest.raises(UsageError, match=r"none\.mp4: no such file"):
        open_clip(tmp_path / "none.mp4")
