"""Read the frames of a clip one at a time; a broken frame is replaced by the last good one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowvision.errors import DataError, UsageError, message_of
from lowvision.video import colour
from lowvision.video.colour import Tags
from lowvision.video.library import pyav
from lowvision.video.selection import ALL, Span, is_sequence

logger = logging.getLogger("lowvision")

PROBED = 8
"""Frames that are decoded to find out whether a clip is interlaced: soft telecine alternates within five."""
DISPLAY_MATRIX = "DISPLAYMATRIX"


@dataclass(frozen=True)
class Facts:
    """The properties of a clip, read from its file."""

    height: int
    width: int
    time_base: Fraction
    """Seconds per unit of the times of frames."""
    rate: Fraction
    """Frames per second, on average."""
    count: int | None
    """Number of frames by the file; None: unknown. Only for progress."""
    tags: Tags
    bits: int
    """Bits per component."""
    pixel_format: str
    """FFmpeg's name, e.g. `yuv420p`."""
    pixel_aspect: Fraction | None
    """Width of a pixel divided by its height."""
    display_matrix: tuple[int, ...] | None
    """Rotation and flip, for players (ISO/IEC 14496-12)."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a clip."""

    number: int
    time: int
    """In units of the time base; larger than that of the frame before."""
    pixels: NDArray[Any]
    """(H,W,3) uint8 or uint16; of the last good frame if it is broken."""
    is_broken: bool = False


@dataclass(frozen=True)
class Reader:
    """A clip, or an image sequence, that is open for reading."""

    path: Path
    facts: Facts
    rate: Fraction | None = None
    """Frames per second of an image sequence."""

    def frames(self, span: Span = ALL) -> Iterator[Frame]:
        """Yield the frames of a range in order; those before it are decoded, but not converted.

        Raises DataError if the size changes, or if no frame can be decoded.
        """
        good: Any = None
        pixels: NDArray[Any] | None = None
        for number, (time, decoded) in enumerate(self._timed()):
            if span.stop is not None and number >= span.stop:
                return
            if decoded is not None:
                good, pixels = decoded, None
            if number < span.first or good is None:
                continue
            if pixels is None:
                pixels = self._pixels(good, number)
            if decoded is None:
                logger.warning("%s: frame %d is broken; the last good one is repeated", self.path, number)
            yield Frame(number, time, pixels, decoded is None)

    def _pixels(self, decoded: Any, number: int) -> NDArray[Any]:
        if (decoded.height, decoded.width) != (self.facts.height, self.facts.width):
            raise DataError(
                f"{self.path}: frame {number} has {decoded.width}x{decoded.height} pixels, the first one "
                f"{self.facts.width}x{self.facts.height}; cut the clip there with --frames :{number}"
            )
        return colour.to_pixels(decoded, self.facts.tags)

    def _timed(self) -> Iterator[tuple[int, Any | None]]:
        """Yield (time, frame) in the order of display; None in place of a broken frame. Times grow strictly."""
        step = max(1, round(1 / self.facts.rate / self.facts.time_base))
        awaited: set[int] = set()  # times of frames that an error may have destroyed
        has_error = False
        last: int | None = None
        for packet, frames in self._decoded():
            has_error |= frames is None
            if has_error and packet.pts is not None and not packet.is_discard:
                awaited.add(packet.pts)
            for frame in frames or ():
                has_error = frame.is_corrupt or (has_error and not frame.key_frame)
                following = 0 if last is None else last + step
                time = following if frame.pts is None else frame.pts
                if frame.is_corrupt:
                    awaited.add(time)
                    continue
                awaited.discard(time)
                for missing in _passed(awaited, last, time):
                    yield missing, None
                    last = missing
                last = time if last is None else max(time, last + 1)
                yield last, frame
        yield from ((missing, None) for missing in _passed(awaited, last))

    def _decoded(self) -> Iterator[tuple[Any, list[Any] | None]]:
        """Yield (packet, its frames); None if decoding failed."""
        av = pyav()
        with open_input(self.path, self.rate) as container:
            stream = main_video(container, self.path)
            stream.thread_type = "SLICE"  # by frames, an error would be reported several frames too late
            for packet in container.demux(stream):
                try:
                    yield packet, packet.decode()
                except av.error.FFmpegError:
                    yield packet, None


def _passed(awaited: set[int], last: int | None, time: int | None = None) -> list[int]:
    """Remove the times before `time` from `awaited`, since frames come in the order of display; return them."""
    passed = sorted(each for each in awaited if time is None or each < time)
    awaited.difference_update(passed)
    return [each for each in passed if last is None or each > last]


def open_clip(path: Path, rate: Fraction | None = None) -> Reader:
    """Open a clip, or the pattern of an image sequence, and read its facts.

    rate: frames per second of an image sequence.
    Raises DataError for a file that is no video, has no frame or is interlaced.
    """
    return Reader(path, _facts(path, rate), rate)


def open_input(path: Path, rate: Fraction | None = None) -> Any:
    """Open a file by FFmpeg. Raises DataError if that fails."""
    av = pyav()
    options: dict[str, Any] = {}
    if is_sequence(path):
        options = {"format": "image2", "options": {"framerate": str(rate or 25), "start_number_range": "100000"}}
    try:
        return av.open(str(path), mode="r", metadata_errors="replace", **options)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise DataError(f"{path}: is no clip that FFmpeg can read: {_reason(error)}") from None


def main_video(container: Any, path: Path) -> Any:
    """Return the video stream that is restored: the first that is no cover picture. Raises DataError."""
    for stream in container.streams.video:
        if not is_cover(stream):
            return stream
    raise DataError(f"{path}: has no video stream; give a clip")


def is_cover(stream: Any) -> bool:
    """Return True for a picture that a player shows instead of a video, e.g. the cover of a song."""
    disposition = pyav().stream.Disposition
    return bool(stream.disposition & (disposition.attached_pic | disposition.timed_thumbnails))


def _facts(path: Path, rate: Fraction | None) -> Facts:
    with open_input(path, rate) as container:
        stream = main_video(container, path)
        first = _first_frame(container, stream, path)
        average = stream.average_rate or stream.guessed_rate or Fraction(25)
        matrix = first.side_data.get(DISPLAY_MATRIX)
        return Facts(
            height=first.height,
            width=first.width,
            time_base=stream.time_base,
            rate=average,
            count=stream.frames or _frames_by_duration(container, stream, average),
            tags=_tags(first, path),
            bits=colour.bits_of(first),
            pixel_format=first.format.name,
            pixel_aspect=stream.sample_aspect_ratio or None,
            display_matrix=None if matrix is None else tuple(np.frombuffer(bytes(matrix), np.int32).tolist()),
        )


def _tags(frame: Any, path: Path) -> Tags:
    try:
        return colour.tags_of(frame)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _first_frame(container: Any, stream: Any, path: Path) -> Any:
    """Return the first good frame; look at several whether they are interlaced."""
    av = pyav()
    first, seen = None, 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        for frame in frames:
            if frame.interlaced_frame:
                raise DataError(
                    f"{path}: is interlaced, so that lines of two moments alternate in each frame; deinterlace it "
                    "first, e.g. by ffmpeg -i INPUT -vf bwdif -c:a copy OUTPUT.mkv"
                )
            first, seen = first or frame, seen + 1
        if seen >= PROBED:
            break
    if first is None:
        raise DataError(f"{path}: has no frame that can be decoded; give another clip")
    return first


def _frames_by_duration(container: Any, stream: Any, rate: Fraction) -> int | None:
    if stream.duration:
        return round(stream.duration * stream.time_base * rate)
    return round(container.duration * rate / 1_000_000) if container.duration else None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or message_of(error)
