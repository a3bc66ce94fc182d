"""Arguments of `lowvision restore` for clips: which inputs are clips, their results, and their options."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lowvision.errors import UsageError
from lowvision.routing.changes import Still
from lowvision.video.selection import ALL, OTHERWISE, WRITABLE, Span, is_clip, is_sequence, parse_span


@dataclass(frozen=True, kw_only=True)
class ClipOptions:
    """Options of clips, in addition to those of images."""

    span: Span = ALL
    """Frames to restore."""
    still: Still = "exact"
    """Parts that are copied from the previous frame: none, bit-identical ones, or visually equal ones."""
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
        raise UsageError(f"{other}: images and clips cannot be restored together; give {clips[0]} in a separate run")
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
        clips: tuple[Clip, ...] = (Clip(paths[0], output),)
    elif output.suffix.lower() in WRITABLE and not output.is_dir():
        raise UsageError(f"{output}: names a file, but there are several clips; give a folder")
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
