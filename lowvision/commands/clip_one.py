"""Restore one clip: read, restore and encode its frames, write the result, and return its entry of the document."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

import lowvision
from lowvision.commands.clip_request import Clip, ClipOptions
from lowvision.commands.restore_request import RestoreOptions, RestoreRequest
from lowvision.errors import DataError
from lowvision.imaging import io
from lowvision.imaging.resize import resize
from lowvision.inference.clip_restorer import ClipRestorer
from lowvision.inference.restorer import Restorer
from lowvision.routing.changes import Still
from lowvision.system.frame_progress import frame_progress
from lowvision.system.printable import printable
from lowvision.video import clip, encoding, muxing, reader
from lowvision.video.encoding import Target
from lowvision.video.muxing import Cut
from lowvision.video.reader import Frame, Reader
from lowvision.video.segments import Segments
from lowvision.video.selection import ALL, Span, is_sequence, sequence_files
from lowvision.video.sinks import Encoder, ImageFiles

logger = logging.getLogger("lowvision")

COUNTS = ("tiles", "reused_tiles", "cost", "base_cost", "broken_frames", "scene_cuts")
"""Quantities that are counted per segment."""


class FrameRestorer:
    """Restores frames, resizes them and counts; every segment begins without memory of the one before."""

    def __init__(self, network: Restorer, options: RestoreOptions, still: Still, size: tuple[int, int]):
        self._network, self._options, self._still, self._size = network, options, still, size
        self.begin_segment()

    def begin_segment(self) -> None:
        """Reset memory and counts."""
        self._last: NDArray[Any] | None = None
        limits = {name: getattr(self._options, name) for name in ("budget", "max_loss", "speed", "worst")}
        self._clip = ClipRestorer(self._network, still=self._still, **limits)
        self._counts = dict.fromkeys(COUNTS, 0)

    def summary(self) -> dict[str, Any]:
        """Return the counts of the segment."""
        return self._counts

    def restore(self, frame: Frame) -> NDArray[Any]:
        """Return the pixels of the result."""
        self._counts["broken_frames"] += frame.is_broken
        if frame.is_broken and self._last is not None:
            return self._last
        restored = self._clip.restore(frame.pixels)
        for name in ("tiles", "reused_tiles", "cost", "base_cost"):
            self._counts[name] += getattr(restored, name)
        self._counts["scene_cuts"] += restored.begins_scene
        pixels = restored.pixels
        if pixels.shape[:2] != self._size:
            pixels = io.to_pixels(resize(io.to_tensor(pixels), self._size), pixels.dtype)
        self._last = pixels
        return pixels


def restore_clip(each: Clip, network: Restorer, request: RestoreRequest, options: ClipOptions) -> dict[str, Any]:
    """Restore one clip and return its entry of the document."""
    rate = Fraction(options.rate).limit_denominator(1001) if options.rate else None
    source = reader.open_clip(each.path, rate)
    largest = request.options.largest
    if largest is not None and source.facts.height * source.facts.width > largest:
        raise DataError(f"{each.path}: has more pixels than --max-megapixels allows; raise the limit")
    size = request.options.size.of(source.facts.height, source.facts.width, network.scale)
    target = None if is_sequence(each.result) else _target(source, each, options, size)
    sink = Encoder(target) if target else ImageFiles(each.result, request.options.quality)
    segments = Segments(each.result, _settings(each, network, request, options, target))
    if segments.summaries:
        logger.info("%s: going on after %d segments of an earlier run", each.path, len(segments.summaries))
    frames = FrameRestorer(network, request.options, options.still, size)
    began = time.perf_counter()
    with frame_progress(printable(each.path.name)) as progress:
        total = _total(source, options.span)
        for step in clip.encode_segments(
            source, options.span, sink, segments, frames.restore, frames.begin_segment, frames.summary
        ):
            progress.move(step.frames, total and max(total, step.frames), step.restored_here)
    if target:
        _finish(each, source, target, segments, request.options, options)
    entry = _entry(each, source, target, size, segments.summaries, time.perf_counter() - began)
    segments.remove()
    return entry


def _target(source: Reader, each: Clip, options: ClipOptions, size: tuple[int, int]) -> Target:
    encoded = encoding.encoding(each.result.suffix, options.codec, options.crf, options.preset)
    return encoding.target(source.facts, encoded, *size, each.result.suffix)


def _finish(
    each: Clip, source: Reader, target: Target, segments: Segments, options: RestoreOptions, clip_options: ClipOptions
) -> None:
    """Write the result from the segments and the other streams of the clip."""
    cut = _cut(source, segments) if clip_options.span != ALL else None
    muxing.write(each.result, each.path, target, segments, cut, not options.strips_metadata)
    if options.keeps_times and not is_sequence(each.path):
        facts = each.path.stat()
        os.utime(each.result, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def _settings(
    each: Clip, network: Restorer, request: RestoreRequest, options: ClipOptions, target: Target | None
) -> dict[str, Any]:
    """Return everything that determines the segments."""
    return {
        "version": lowvision.__version__,
        "input": _identity(each.path),
        "weights": _identity(request.weights),
        "runtime": [network.runtime, str(network.device), request.precision],
        "options": [repr(request.options), repr(options)],
        "target": repr(target),
    }


def _identity(path: Path) -> list[str]:
    """Return the real path, and a hash that depends on size and time of each file of a clip, sequence or folder."""
    files = sequence_files(path) if is_sequence(path) else sorted(path.iterdir()) if path.is_dir() else [path]
    facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return [os.path.realpath(path), hashlib.sha256(repr(facts).encode()).hexdigest()]


def _total(source: Reader, span: Span) -> int | None:
    """Return the number of frames to restore, if it is known."""
    ends = [end for end in (source.facts.count, span.stop) if end is not None]
    return max(1, min(ends) - span.first) if ends else None


def _cut(source: Reader, segments: Segments) -> Cut:
    """Return the part of the clip that the frames cover."""
    base = source.facts.time_base
    last = segments.summaries[-1]["last"] * base
    return Cut(segments.summaries[0]["first"] * base, last + 1 / source.facts.rate)


def _entry(
    each: Clip,
    source: Reader,
    target: Target | None,
    size: tuple[int, int],
    summaries: Sequence[dict[str, Any]],
    seconds: float,
) -> dict[str, Any]:
    total = {key: sum(part[key] for part in summaries) for key in ("frames", *COUNTS)}
    working = sum(part["seconds"] for part in summaries)
    return {
        "input": str(each.path),
        "result": str(each.result),
        "height": source.facts.height,
        "width": source.facts.width,
        "result_height": size[0],
        "result_width": size[1],
        "frames": total["frames"],
        "broken_frames": total["broken_frames"],
        "scene_cuts": total["scene_cuts"],
        "share_reused": total["reused_tiles"] / max(total["tiles"], 1),
        "codec": target.encoding.codec if target else each.result.suffix[1:],
        "gmac": total["cost"] / 1e9,
        "gmac_of_base": total["base_cost"] / 1e9,
        "share_of_base": total["cost"] / max(total["base_cost"], 1),
        "seconds": seconds,
        "fps": total["frames"] / working,
    }
