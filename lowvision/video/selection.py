"""Selection of the inputs that are clips, and of their frames to restore."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lowvision.errors import UsageError

WRITABLE = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".flv", ".3gp", ".nut")
"""Endings of clips that are kept for results."""
READABLE = (*WRITABLE, ".mpg", ".mpeg", ".wmv", ".asf", ".ogv", ".y4m", ".vob", ".mxf", ".m2v", ".rm", ".rmvb")
"""Endings of files that are read as clips; FFmpeg recognises the format by the content."""
OTHERWISE = ".mkv"
"""Ending of results whose input has another one: Matroska holds any codec."""
NUMBERED = re.compile(r"%0?\d*d")
"""A file name with a number, e.g. `%05d.png`: a sequence of images."""


@dataclass(frozen=True)
class Span:
    """A range of frames."""

    first: int = 0
    stop: int | None = None
    """One past the last frame; None: to the end."""

    def __str__(self) -> str:
        return f"{self.first}:{'' if self.stop is None else self.stop}"


ALL = Span()
"""Every frame."""


def parse_span(text: str) -> Span:
    """Return the range that `FIRST:STOP` names, counted from 0; either side may be empty. Raises UsageError."""
    match = re.fullmatch(r"(\d{0,15}):(\d{0,15})", text)
    if not match:
        raise UsageError(f"--frames {text}: is no range of frames; write FIRST:STOP, e.g. 0:250")
    span = Span(int(match[1] or 0), int(match[2]) if match[2] else None)
    if span.stop is not None and span.stop <= span.first:
        raise UsageError(f"--frames {text}: has no frames; STOP must be larger than FIRST")
    return span


def is_sequence(path: Path | str) -> bool:
    """Return True for the pattern of an image sequence, e.g. `frames/%05d.png`."""
    return bool(NUMBERED.search(Path(path).name))


def is_clip(pattern: Path | str) -> bool:
    """Return True if an input, by its name, is a clip, a pattern for clips or an image sequence."""
    return is_sequence(pattern) or Path(pattern).suffix.lower() in READABLE


def sequence_files(pattern: Path) -> list[Path]:
    """Return the image files of a sequence, sorted by name; their numbers may have any width."""
    before, after = (re.escape(part.replace("%%", "%")) for part in NUMBERED.split(pattern.name, maxsplit=1))
    name = re.compile(rf"{before}\d+{after}")
    return sorted(path for path in pattern.parent.iterdir() if name.fullmatch(path.name))
