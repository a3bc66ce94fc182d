"""Store the encoded frames of an unfinished result in segments, which survive an interruption.

A segment begins with a keyframe and is complete once its file exists. A second run with the same settings goes on after
the last one, and gives the same result as a run that was not interrupted: every segment has a new encoder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowvision.system import atomic

SETTINGS = "settings.json"


@dataclass(frozen=True)
class Packet:
    """An encoded frame."""

    time: int
    """Time of display, in units of the time base."""
    duration: int
    is_keyframe: bool
    data: bytes


class Segments:
    """The folder of segments of one result."""

    def __init__(self, result: Path, settings: dict[str, Any]):
        """Open the folder of a result; segments of other settings are deleted."""
        self._folder = result.with_name(f".{result.name}.segments")
        self._settings = json.dumps(settings, sort_keys=True, default=str)
        if not self._matches():
            shutil.rmtree(self._folder, ignore_errors=True)
        self.summaries = [header["summary"] for header in self._headers()]
        """The summaries of the complete segments, in order."""

    def append(self, packets: list[Packet], summary: dict[str, Any]) -> None:
        """Store the next segment; `summary` holds JSON values."""
        if not self._matches():
            self._folder.mkdir(parents=True, exist_ok=True)
            with atomic.whole(self._folder / SETTINGS) as part:
                part.write_text(self._settings)
        index = [[each.time, each.duration, each.is_keyframe, len(each.data)] for each in packets]
        header = json.dumps({"summary": summary, "packets": index}).encode()
        with atomic.whole(self._path(len(self.summaries)), durable=True) as part, part.open("wb") as file:
            file.write(header + b"\n")
            file.writelines(each.data for each in packets)
        self.summaries.append(summary)

    def times(self) -> NDArray[np.int64]:
        """Return the display times of all packets, in the order of encoding."""
        parts = [[time for time, _, _, _ in header["packets"]] for header in self._headers()]
        return np.concatenate([np.array(part, np.int64) for part in parts])

    def packets(self) -> Iterator[Packet]:
        """Yield all packets in the order of encoding, one segment in memory at a time."""
        for header, data in self._open():
            start = 0
            for time, duration, is_keyframe, size in header["packets"]:
                yield Packet(time, duration, is_keyframe, data[start : start + size])
                start += size

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _headers(self) -> Iterator[dict[str, Any]]:
        number = 0
        while (path := self._path(number)).is_file():
            with path.open("rb") as file:
                yield json.loads(file.readline())
            number += 1

    def _open(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        number = 0
        while (path := self._path(number)).is_file():
            header, _, data = path.read_bytes().partition(b"\n")
            yield json.loads(header), data
            number += 1

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.segment"

    def _matches(self) -> bool:
        path = self._folder / SETTINGS
        return path.is_file() and path.read_text() == self._settings
