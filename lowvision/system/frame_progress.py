"""Progress over the frames of a clip: a bar on a terminal, otherwise a line from time to time."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars

SECONDS_BETWEEN_LINES = 30


class FrameProgress(ABC):
    """Receiver of the progress of one clip."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @abstractmethod
    def move(self, done: int, total: int | None, restored: int) -> None:
        """Report that `done` of `total` frames are done, `restored` of them since the start of this progress."""

    def _speed(self, done: int, total: int | None, restored: int) -> str:
        """Return frames per second and the remaining time, e.g. `3.1 fps, 0:12:15 left`."""
        rate = restored / max(time.monotonic() - self._began, 1e-6)
        left = "" if total is None else f", {_clock((total - done) / rate)} left"
        return f"{rate:.2f} fps{left}"


@contextmanager
def frame_progress(name: str) -> Iterator[FrameProgress]:
    """Yield the progress of a clip."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield FrameLines(console, name)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[what]}"))
    with Bars(*columns, console=console) as bars:
        yield FrameBar(bars, name)


class FrameLines(FrameProgress):
    """A plain line every half minute."""

    def __init__(self, console: Console, name: str):
        super().__init__()
        self._console, self._name, self._printed = console, name, self._began

    def move(self, done: int, total: int | None, restored: int) -> None:
        if time.monotonic() - self._printed < SECONDS_BETWEEN_LINES:
            return
        self._printed = time.monotonic()
        line = f"{self._name}: frame {done}/{total or '?'}, {self._speed(done, total, restored)}"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class FrameBar(FrameProgress):
    """One bar with frames per second and the remaining time."""

    def __init__(self, bars: Bars, name: str):
        super().__init__()
        self._bars, self._task = bars, bars.add_task(name, total=None, what="")

    def move(self, done: int, total: int | None, restored: int) -> None:
        what = f"{done}/{total or '?'} frames, {self._speed(done, total, restored)}"
        self._bars.update(self._task, completed=done, total=total, what=what)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
