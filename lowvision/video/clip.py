"""Restore the frames of a clip one after another, in constant memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from numpy.typing import NDArray

from lowvision.errors import DataError
from lowvision.video.reader import Frame, Reader
from lowvision.video.segments import Segments
from lowvision.video.selection import Span
from lowvision.video.sinks import Sink

SEGMENT_SECONDS = 2
"""Length of a segment: what an interruption costs at most. Each begins with a keyframe, as players expect anyway."""

Restore = Callable[[Frame], NDArray[Any]]
"""Restore a frame to the pixels of the result."""


@dataclass(frozen=True)
class Step:
    """Progress of a clip."""

    frames: int
    """Frames that are done, those of an earlier run included."""
    restored_here: int
    """Frames that this run has restored."""


def encode_segments(
    reader: Reader,
    span: Span,
    sink: Sink,
    segments: Segments,
    restore: Restore,
    start: Callable[[], None],
    summary: Callable[[], dict[str, Any]],
) -> Iterator[Step]:
    """Restore and encode all frames that no segment holds yet; yield after each frame.

    start: called before each segment. summary: called after it; returns what to store with it.
    """
    done = sum(part["frames"] for part in segments.summaries)
    following = segments.summaries[-1]["next"] if segments.summaries else span.first
    frames = reader.frames(Span(following, span.stop))
    length = max(1, round(SEGMENT_SECONDS * reader.facts.rate))
    restored = 0
    while first := next(frames, None):
        start()
        sink.begin()
        began, packets, before = time.perf_counter(), [], restored
        for frame in chain([first], islice(frames, length - 1)):
            packets += sink.add(restore(frame), frame)
            last, restored = frame, restored + 1
            yield Step(done + restored, restored)
        packets += sink.end()
        facts = {
            "frames": restored - before,
            "next": last.number + 1,
            "first": first.time,
            "last": last.time,
            "seconds": time.perf_counter() - began,
        }
        segments.append(packets, facts | summary())
    if not done + restored:
        raise DataError(f"{reader.path}: has no frames {span}; give a range within the clip")
