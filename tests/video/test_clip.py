"""Claims about restoring the frames of a clip in segments that survive an interruption."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lowvision.errors import DataError
from lowvision.video.clip import Step, encode_segments
from lowvision.video.colour import Tags
from lowvision.video.reader import Facts, Frame, Reader
from lowvision.video.segments import Packet, Segments
from lowvision.video.selection import ALL, Span
from lowvision.video.sinks import Sink

FACTS = Facts(2, 2, Fraction(1, 1000), Fraction(2), 10, Tags(1, 1, 1, 1), 8, "yuv420p", None, None)
"""Two frames per second: a segment has four frames."""


class Drawn(Reader):
    """Ten frames that need no file."""

    def frames(self, span: Span = ALL) -> Iterator[Frame]:
        for number in range(span.first, min(10, span.stop or 10)):
            yield Frame(number, 500 * number, np.full((2, 2, 3), number, np.uint8))


class Kept(Sink):
    """A packet per frame, which holds the pixels; like an encoder, it returns them one frame late."""

    def begin(self) -> None:
        self.late: list[Packet] = []

    def add(self, pixels: NDArray[Any], frame: Frame) -> list[Packet]:
        ready, self.late = self.late, [Packet(frame.time, 500, not frame.number % 4, pixels.tobytes())]
        return ready

    def end(self) -> list[Packet]:
        return self.late


def run(path: Path, span: Span = ALL, stop_after: int = 99) -> tuple[list[Step], Segments]:
    segments = Segments(path, {"crf": 1})
    steps = []
    clip = encode_segments(
        Drawn(path, FACTS), span, Kept(), segments, lambda frame: frame.pixels + 1, lambda: None, lambda: {"tiles": 1}
    )
    for step in clip:
        steps.append(step)
        if len(steps) == stop_after:
            break
    clip.close()
    return steps, segments


def restored(segments: Segments) -> list[int]:
    return [packet.data[0] for packet in segments.packets()]


def test_all_frames_are_restored_in_segments_of_two_seconds(tmp_path: Path) -> None:
    steps, segments = run(tmp_path / "a.mp4")
    assert restored(segments) == list(range(1, 11))
    assert [part["frames"] for part in segments.summaries] == [4, 4, 2]
    assert [(part["first"], part["last"], part["tiles"]) for part in segments.summaries] == [
        (0, 1500, 1),
        (2000, 3500, 1),
        (4000, 4500, 1),
    ]
    assert steps[-1] == Step(10, 10)


@pytest.mark.parametrize("stop_after", [1, 4, 5, 9])
def test_an_interrupted_run_resumes_at_the_next_segment_with_the_same_result(tmp_path: Path, stop_after: int) -> None:
    run(tmp_path / "a.mp4", stop_after=stop_after)
    kept = sum(part["frames"] for part in Segments(tmp_path / "a.mp4", {"crf": 1}).summaries)
    assert kept == (stop_after - 1) // 4 * 4
    steps, segments = run(tmp_path / "a.mp4")
    assert restored(segments) == list(range(1, 11))
    assert steps[0] == Step(kept + 1, 1)


def test_a_range_restores_its_frames_alone(tmp_path: Path) -> None:
    steps, segments = run(tmp_path / "a.mp4", Span(3, 8))
    assert restored(segments) == [4, 5, 6, 7, 8]
    assert segments.summaries[-1]["next"] == 8
    assert len(steps) == 5


def test_a_range_behind_the_end_is_an_error_and_a_finished_clip_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no frames 10:; give a range within the clip"):
        run(tmp_path / "a.mp4", Span(10))
    run(tmp_path / "b.mp4")
    assert run(tmp_path / "b.mp4")[0] == []
