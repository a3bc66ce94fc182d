"""Implement `lowvision restore` for clips: restore every frame, go on after a failed clip, and report all of them."""

from __future__ import annotations

import glob
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

import lowvision
from lowvision.commands.restore import SCHEMA, RestoreOptions, RestoreRequest, check_writable
from lowvision.errors import DataError, LowvisionError, UsageError, summary_of
from lowvision.imaging import io
from lowvision.imaging.resize import resize
from lowvision.inference import restorer
from lowvision.inference.restorer import Restorer
from lowvision.plugins.registry import Registry
from lowvision.system.frame_progress import frame_progress
from lowvision.system.printable import printable
from lowvision.video import clip, encoding, muxing, reader
from lowvision.video.encoding import Target
from lowvision.video.muxing import Cut
from lowvision.video.reader import Frame, Reader
from lowvision.video.segments import Segments
from lowvision.video.selection import ALL, OTHERWISE, WRITABLE, Span, is_clip, is_sequence, parse_span

logger = logging.getLogger("lowvision")


@dataclass(frozen=True, kw_only=True)
class ClipOptions:
    """Options of clips, beside those of images."""

    span: Span = ALL
    """Frames to restore."""
    codec: str | None = None
    """A key of `encoding.CODECS`; None: by the ending of the result."""
    crf: int | None = None
    """Constant quality; None: the codec's default."""
    preset: str | None = None
    """Compromise of speed and size; None: the codec's default."""
    rate: float | None = None
    """Frames per second of an image sequence."""


@dataclass(frozen=True)
class Clip:
    """A clip and the path of its result."""

    path: Path
    result: Path


def selects_clips(patterns: Sequence[str]) -> bool:
    """Return True if the inputs are clips, False if they are images. Raises UsageError for a mixture."""
    clips = [pattern for pattern in patterns if is_clip(pattern) and not os.path.isdir(pattern)]
    if clips and len(clips) < len(patterns):
        other = next(pattern for pattern in patterns if pattern not in clips)
        raise UsageError(f"{other}: images and clips cannot be restored together; give {clips[0]} in a run of its own")
    return bool(clips)


def frames_of_clips(text: str, clips: bool) -> Span:
    """Return the range of `--frames`. Raises UsageError for a value that the kind of input does not have."""
    if text in ("all", "first"):
        return Span(0, 1) if clips and text == "first" else ALL
    if not clips:
        raise UsageError(f"--frames {text}: ranges are for clips; give all or first for images")
    return parse_span(text)


def plan(patterns: Sequence[str], output: Path, suffix: str = "") -> tuple[Clip, ...]:
    """Find the clips and the paths of their results. suffix: text before the ending of names. Raises UsageError."""
    paths = [path for pattern in patterns for path in _found(pattern)]
    if len(paths) == 1 and output.suffix and not output.is_dir():
        clips = (Clip(paths[0], output),)
    elif output.suffix.lower() in WRITABLE and not output.is_dir():
        raise UsageError(f"{output}: is a file, but there are several clips; give a folder")
    else:
        clips = tuple(Clip(path, output / f"{path.stem}{suffix}{_ending(path)}") for path in paths)
    results: dict[str, Path] = {}
    sources = {os.path.realpath(each.path) for each in clips}
    for each in clips:
        resolved = os.path.realpath(each.result)
        if resolved in sources or resolved in results:
            raise UsageError(f"{each.path}: its result {each.result} would replace a clip; give another -o")
        results[resolved] = each.path
    return clips


def run(request: RestoreRequest, options: ClipOptions, registry: Registry) -> dict[str, Any]:
    """Restore the clips and return the document. Raises UsageError, WeightsError and RunError before the first one."""
    clips = plan(request.patterns, request.output, request.name_suffix)
    for each in clips:
        encoding.encoding(each.result.suffix, options.codec, options.crf, options.preset)
        encoding.container_of(each.result.suffix)
    began = time.perf_counter()
    network = restorer.load(
        request.weights,
        device=request.device,
        runtime=request.runtime,
        registry=registry,
        precision=request.precision,
    )
    _check(request.options, network)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "task": registry.serialize(network.architecture.task),
        "clips": [],
        "skipped": [],
        "failed": [],
    }
    for each in clips:
        check_writable(each.result.parent)
        if request.options.skips_existing and each.result.is_file() and each.result.stat().st_size:
            document["skipped"].append(str(each.path))
            continue
        try:
            document["clips"].append(_restore(each, network, request, options))
        except (LowvisionError, OSError) as error:
            document["failed"].append({"input": str(each.path), "reason": _reason(error, each.path)})
    document["total"] = {
        **{key: len(document[key]) for key in ("clips", "skipped", "failed")},
        "frames": sum(each["frames"] for each in document["clips"]),
        "seconds": time.perf_counter() - began,
    }
    return document


def text(document: dict[str, Any]) -> str:
    """Format the document: a line per clip, and a line per failure."""
    lines = [_line(each) for each in document["clips"]]
    lines += [f"{printable(path)}: skipped, its result exists" for path in document["skipped"]]
    lines += [f"failed: {printable(failed['input'])}: {printable(failed['reason'])}" for failed in document["failed"]]
    return "\n".join(lines)


def _line(facts: dict[str, Any]) -> str:
    line = (
        f"{printable(facts['input'])} -> {printable(facts['result'])}: {facts['width']}x{facts['height']} -> "
        f"{facts['result_width']}x{facts['result_height']}, {facts['frames']} frames, "
        f"{facts['share_of_base']:.0%} of the base, {facts['seconds']:.1f} s, {facts['fps']:.2f} fps"
    )
    if facts["broken_frames"]:
        line += f"; {facts['broken_frames']} broken frames replaced by the last good one"
    return line


def _found(pattern: str) -> list[Path]:
    path = Path(pattern)
    if is_sequence(path) or os.path.lexists(path):
        return [path]
    paths = [Path(name) for name in sorted(glob.glob(pattern, recursive=True)) if is_clip(name)]
    if not paths:
        raise UsageError(f"{pattern}: no such clip")
    return paths


def _ending(path: Path) -> str:
    if is_sequence(path):
        return ".mp4"
    return path.suffix if path.suffix.lower() in WRITABLE else OTHERWISE


def _check(options: RestoreOptions, network: Restorer) -> None:
    """Raise UsageError for options that clips do not have."""
    network.check_budget(options.budget, options.max_loss, options.speed)
    if options.draws_maps or options.passes > 1 or options.restores_alpha:
        raise UsageError("--map, --passes and --alpha are for images; omit them for clips")


class _Frames:
    """Restores frames and counts."""

    def __init__(self, network: Restorer, options: RestoreOptions, size: tuple[int, int]):
        self._network, self._options, self._size = network, options, size
        self._last: NDArray[Any] | None = None
        self._counts: dict[str, int] = {}

    def begin_segment(self) -> None:
        """Reset the counts."""
        self._last = None
        self._counts = {"cost": 0, "base_cost": 0, "broken": 0}

    def summary(self) -> dict[str, Any]:
        """Return the counts of the segment."""
        return self._counts

    def restore(self, frame: Frame) -> NDArray[Any]:
        """Return the pixels of the result."""
        self._counts["broken"] += frame.is_broken
        if frame.is_broken and self._last is not None:
            return self._last
        options = self._options
        restored = self._network.restore(
            frame.pixels, budget=options.budget, max_loss=options.max_loss, speed=options.speed
        )
        self._counts["cost"] += restored.cost
        self._counts["base_cost"] += restored.base_cost
        pixels = restored.image
        if pixels.shape[:2] != self._size:
            pixels = io.to_pixels(resize(io.to_tensor(pixels), self._size), pixels.dtype)
        self._last = pixels
        return pixels


def _restore(each: Clip, network: Restorer, request: RestoreRequest, options: ClipOptions) -> dict[str, Any]:
    """Restore one clip and return its entry of the document."""
    source = reader.open_clip(each.path, options.rate and Fraction(options.rate).limit_denominator(1001))
    largest = request.options.largest
    if largest is not None and source.facts.height * source.facts.width > largest:
        raise DataError(f"{each.path}: has more pixels than --max-megapixels allows; raise the limit")
    size = request.options.size.of(source.facts.height, source.facts.width, network.scale)
    encoded = encoding.encoding(each.result.suffix, options.codec, options.crf, options.preset)
    target = encoding.target(source.facts, encoded, *size, each.result.suffix)
    segments = Segments(each.result, _settings(each, network, request, options, target))
    if segments.summaries:
        logger.info("%s: going on after %d segments of an earlier run", each.path, len(segments.summaries))
    frames = _Frames(network, request.options, size)
    began = time.perf_counter()
    with frame_progress(printable(each.path.name)) as progress:
        total = _total(source, options.span)
        for step in clip.encode_segments(
            source, options.span, target, segments, frames.restore, frames.begin_segment, frames.summary
        ):
            progress.move(step.frames, total and max(total, step.frames), step.restored_here)
    cut = _cut(source, segments) if options.span != ALL else None
    muxing.write(each.result, each.path, target, segments, cut, not request.options.strips_metadata)
    if request.options.keeps_times:
        facts = each.path.stat()
        os.utime(each.result, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    entry = _entry(each, source, target, segments.summaries, time.perf_counter() - began)
    segments.remove()
    return entry


def _settings(
    each: Clip, network: Restorer, request: RestoreRequest, options: ClipOptions, target: Target
) -> dict[str, Any]:
    """Return everything that determines the segments."""
    facts = None if is_sequence(each.path) else each.path.stat()
    weights = request.weights.stat()
    return {
        "version": lowvision.__version__,
        "input": [os.path.realpath(each.path), *((facts.st_size, facts.st_mtime_ns) if facts else ())],
        "weights": [os.path.realpath(request.weights), weights.st_size, weights.st_mtime_ns],
        "runtime": [network.runtime, str(network.device), request.precision],
        "options": [repr(request.options), repr(options)],
        "target": repr(target),
    }


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
    each: Clip, source: Reader, target: Target, summaries: Sequence[dict[str, Any]], seconds: float
) -> dict[str, Any]:
    total = {key: sum(part[key] for part in summaries) for key in ("frames", "cost", "base_cost", "broken")}
    working = sum(part["seconds"] for part in summaries)
    return {
        "input": str(each.path),
        "result": str(each.result),
        "height": source.facts.height,
        "width": source.facts.width,
        "result_height": target.height,
        "result_width": target.width,
        "frames": total["frames"],
        "broken_frames": total["broken"],
        "codec": target.encoding.codec,
        "gmac": total["cost"] / 1e9,
        "gmac_of_base": total["base_cost"] / 1e9,
        "share_of_base": total["cost"] / max(total["base_cost"], 1),
        "seconds": seconds,
        "fps": total["frames"] / working,
    }


def _reason(error: Exception, path: Path) -> str:
    """Return the reason of a failure in one line, without the name of the clip."""
    if isinstance(error, LowvisionError):
        return str(error).removeprefix(f"{path}: ")
    return summary_of(error)
