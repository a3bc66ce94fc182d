"""Write the result: the restored video, and audio, subtitles, chapters and metadata of the clip."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowvision.errors import DataError, message_of
from lowvision.system import atomic
from lowvision.video.encoding import CODECS, QUICKTIME, Target, container_of
from lowvision.video.library import pyav
from lowvision.video.reader import main_video, open_input
from lowvision.video.segments import Segments
from lowvision.video.selection import is_sequence

logger = logging.getLogger("lowvision")

BLU_RAY = {"mpegts_m2ts_mode": "1"}
OPTIONS = {".m2ts": BLU_RAY, ".mts": BLU_RAY, **{suffix: {"movflags": "+faststart"} for suffix in QUICKTIME}}
"""Options of containers by ending. `faststart`: a web player can begin before the end of the file."""


@dataclass(frozen=True)
class Cut:
    """The part of a clip that is kept, in seconds."""

    start: Fraction = Fraction(0)
    """Becomes time 0, unless nothing is cut."""
    stop: Fraction | None = None


def write(
    path: Path, source: Path, target: Target, segments: Segments, cut: Cut | None = None, keeps_metadata: bool = True
) -> None:
    """Write the result atomically. cut: the part that is kept; its start becomes time 0. Raises DataError."""
    av = pyav()
    with atomic.whole(path) as part, open_input(source) as clip:
        try:
            with av.open(
                str(part),
                "w",
                format=container_of(path.suffix).name,
                container_options=OPTIONS.get(path.suffix.lower()),
            ) as result:
                _mux(result, clip, source, target, segments, cut, keeps_metadata)
        except (av.error.FFmpegError, ValueError) as error:
            raise DataError(
                f"{path}: FFmpeg cannot write it: {message_of(error)}; give a result that ends in .mkv"
            ) from None


def _mux(
    result: Any, clip: Any, source: Path, target: Target, segments: Segments, cut: Cut | None, keeps_metadata: bool
) -> None:
    original = main_video(clip, source)
    video = _video_stream(result, target)
    copied = {} if is_sequence(source) else _copied_streams(result, clip, original)
    if keeps_metadata:
        result.metadata.update(_kept(clip.metadata))
        video.metadata.update(_kept(original.metadata))
        if chapters := _chapters(clip, cut):
            result.set_chapters(chapters)
    video.disposition = original.disposition
    result.start_encoding()
    shift = cut.start if cut else Fraction(0)
    own = ((dts * target.time_base, packet) for dts, packet in _video_packets(video, target, segments, shift))
    others = _copied_packets(clip, copied, cut) if copied else iter(())
    for _, packet in heapq.merge(own, others, key=lambda item: item[0]):
        result.mux(packet)


def _video_stream(result: Any, target: Target) -> Any:
    stream = result.add_stream(CODECS[target.encoding.codec].encoder, rate=target.rate)
    target.configure(stream.codec_context)
    stream.time_base = target.time_base
    if target.display_matrix:
        stream.set_display_matrix(target.display_matrix)
    return stream


def _copied_streams(result: Any, clip: Any, original: Any) -> dict[int, Any]:
    """Add every other stream that the container can hold; return the new streams by number of the old ones."""
    copied = {}
    for stream in clip.streams:
        if stream.index == original.index:
            continue
        try:
            _check_kind(stream, result)
            new = result.add_stream_from_template(stream, opaque=True)
        except ValueError as error:
            logger.warning("stream %d (%s) is left out: %s", stream.index, stream.type, message_of(error))
            continue
        new.metadata.update(_kept(stream.metadata))
        new.disposition = stream.disposition
        copied[stream.index] = new
    return copied


def _check_kind(stream: Any, result: Any) -> None:
    """Raise ValueError for a stream that FFmpeg would accept here and refuse when it writes the header."""
    if stream.type not in ("video", "audio", "subtitle", "attachment"):
        raise ValueError("data of a camera or an editor has no place in other containers")
    if stream.type == "attachment" and result.format.name != "matroska":
        raise ValueError("only Matroska holds attachments")


def _kept(metadata: dict[str, str]) -> dict[str, str]:
    """Return metadata without what the container or the encoder writes itself."""
    own = ("encoder", "major_brand", "minor_version", "compatible_brands", "duration", "vendor_id")
    statistics = ("BPS", "DURATION", "NUMBER_OF_", "_STATISTICS")
    return {key: value for key, value in metadata.items() if key.lower() not in own and not key.startswith(statistics)}


def _chapters(clip: Any, cut: Cut | None) -> list[dict[str, Any]]:
    """Return the chapters within the cut, in its time."""
    chapters = clip.chapters()
    if cut is None:
        return list(chapters)
    kept = []
    for chapter in chapters:
        base = chapter["time_base"]
        start, stop = max(chapter["start"] * base, cut.start), chapter["end"] * base
        stop = stop if cut.stop is None else min(stop, cut.stop)
        if start < stop:
            kept.append(chapter | {"start": round((start - cut.start) / base), "end": round((stop - cut.start) / base)})
    return kept


def _video_packets(stream: Any, target: Target, segments: Segments, shift: Fraction) -> Iterator[tuple[int, Any]]:
    """Yield (decoding time, packet). Times are set here, because encoders of segments do not know earlier ones."""
    av = pyav()
    moved = round(shift / target.time_base)
    times = segments.times()
    step = max(1, round(1 / target.rate / target.time_base))
    for packet, dts in zip(segments.packets(), decoding_times(times, step), strict=True):
        encoded = av.Packet(packet.data)
        encoded.stream, encoded.time_base = stream, target.time_base
        encoded.pts, encoded.dts, encoded.duration = packet.time - moved, dts - moved, packet.duration
        encoded.is_keyframe = packet.is_keyframe
        yield dts - moved, encoded


def decoding_times(times: NDArray[np.int64], step: int) -> Iterator[int]:
    """Yield a decoding time for each display time, in the order of encoding: increasing, and not later than it.

    The n-th packet is decoded when frame n - delay is shown; delay is the largest number of places by which the encoder
    moved a frame.
    """
    shown = np.sort(times)
    numbers = np.arange(len(times))
    delay = int(max(0, (numbers - np.searchsorted(shown, times)).max(initial=0)))
    yield from (int(shown[0]) - (delay - number) * step for number in range(min(delay, len(shown))))
    yield from shown[: len(shown) - delay].tolist()


def _copied_packets(clip: Any, copied: dict[int, Any], cut: Cut | None) -> Iterator[tuple[Fraction, Any]]:
    """Yield (decoding time in seconds, packet) of the copied streams, within the cut."""
    streams = [clip.streams[index] for index in copied if clip.streams[index].type != "attachment"]
    last = Fraction(-(2**40))
    if not streams:
        return
    for packet in clip.demux(streams):
        time = packet.dts if packet.dts is not None else packet.pts
        if time is None:
            continue  # the end of a stream
        seconds = time * packet.time_base
        if cut and (seconds < cut.start or (cut.stop is not None and seconds >= cut.stop)):
            continue
        if cut:
            moved = round(cut.start / packet.time_base)
            packet.pts, packet.dts = _minus(packet.pts, moved), _minus(packet.dts, moved)
        packet.stream = copied[packet.stream_index]
        last = max(last, seconds - (cut.start if cut else 0))
        yield last, packet


def _minus(time: int | None, moved: int) -> int | None:
    return None if time is None else time - moved
