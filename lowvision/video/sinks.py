"""Write restored frames to an encoder, or to numbered image files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lowvision.errors import UsageError
from lowvision.imaging import io
from lowvision.imaging.image import Image
from lowvision.video import colour
from lowvision.video.encoding import Target
from lowvision.video.reader import Frame
from lowvision.video.segments import Packet


class Sink(ABC):
    """Receiver of the frames of a segment: `begin`, `add` per frame, `end`."""

    @abstractmethod
    def begin(self) -> None:
        """Start a segment."""

    @abstractmethod
    def add(self, pixels: NDArray[Any], frame: Frame) -> list[Packet]:
        """Take the result of a frame; return the packets that are ready."""

    @abstractmethod
    def end(self) -> list[Packet]:
        """Return the other packets of the segment."""


class Encoder(Sink):
    """Encodes frames; every segment has a new encoder and begins with a keyframe."""

    def __init__(self, target: Target):
        self._target = target
        self._context: Any = None

    def begin(self) -> None:
        self._context = self._target.open()

    def add(self, pixels: NDArray[Any], frame: Frame) -> list[Packet]:
        encoded = colour.to_frame(pixels, self._target.pixel_format, self._target.tags)
        encoded.pts, encoded.time_base = frame.time, self._target.time_base
        return _packets(self._context.encode(encoded))

    def end(self) -> list[Packet]:
        packets = _packets(self._context.encode(None))
        self._context = None
        return packets


class ImageFiles(Sink):
    """Writes each frame to a file whose name has the number of the frame."""

    def __init__(self, pattern: Path, quality: int):
        """Check the pattern, e.g. `out/%05d.png`. Raises UsageError."""
        if pattern.suffix.lower() not in io.DEPTHS:
            raise UsageError(f"{pattern}: cannot write '{pattern.suffix}'; give e.g. %05d.png")
        try:
            _ = pattern.name % 0
        except (TypeError, ValueError):
            raise UsageError(f"{pattern}: must have one number, e.g. %05d.png; write %% for a percent sign") from None
        self._pattern, self._quality = pattern, quality

    def begin(self) -> None:
        """Do nothing: files do not depend on each other."""

    def add(self, pixels: NDArray[Any], frame: Frame) -> list[Packet]:
        io.write(self._pattern.with_name(self._pattern.name % frame.number), Image(pixels), self._quality)
        return []

    def end(self) -> list[Packet]:
        return []


def _packets(encoded: list[Any]) -> list[Packet]:
    return [Packet(each.pts, each.duration or 0, each.is_keyframe, bytes(each)) for each in encoded]
