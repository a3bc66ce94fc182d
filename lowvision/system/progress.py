"""Progress over many files: bars with the remaining time on a terminal, plain lines otherwise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

NAME = 40
"""Maximum length of a name before its bar; of longer names only the end is shown."""


class Progress(ABC):
    """Receiver of progress: per file `begin`, then `move` any number of times, then `end`."""

    @abstractmethod
    def begin(self, name: str) -> None:
        """Start a file."""

    @abstractmethod
    def move(self, done: int, total: int) -> None:
        """Report that `done` of `total` tiles of the file are done."""

    @abstractmethod
    def end(self, line: str) -> None:
        """Finish the file and print a line about it."""


def duration(seconds: float) -> str:
    """Return a time for people, e.g. `45 s`, `12 min`, `2 h 5 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


@contextmanager
def telling(files: int, is_main_process: bool) -> Iterator[Progress]:
    """Yield the progress of a process over `files` files; on a terminal only the main process draws bars."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(console, files)
    elif not is_main_process:
        yield Lines(Console(quiet=True), files)
    else:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[what]}"),
            TimeRemainingColumn(),
        )
        with Bars(*columns, console=console) as bars:
            yield TwoBars(bars, files)


class Lines(Progress):
    """One plain line per finished file."""

    def __init__(self, console: Console, files: int):
        self._console, self._files, self._finished = console, files, 0

    def begin(self, name: str) -> None:
        """Print nothing; the line follows at the end."""

    def move(self, done: int, total: int) -> None:
        """Print nothing; there would be too many lines."""

    def end(self, line: str) -> None:
        self._finished += 1
        self._console.print(f"{self._finished}/{self._files} {line}", markup=False, highlight=False, soft_wrap=True)


class TwoBars(Progress):
    """One bar for all files and one for the tiles of the current file; lines of finished files scroll above."""

    def __init__(self, bars: Bars, files: int):
        self._bars, self._finished = bars, 0
        self._files = bars.add_task("all", total=files, what="files")
        self._tiles = bars.add_task("", total=None, what="tiles", visible=files > 0)

    def begin(self, name: str) -> None:
        short = name if len(name) <= NAME else f"…{name[1 - NAME :]}"
        self._bars.reset(self._tiles, description=short)

    def move(self, done: int, total: int) -> None:
        self._bars.update(self._tiles, completed=done, total=total)
        # Fractions of a file keep the remaining time current during a long file.
        self._bars.update(self._files, completed=self._finished + done / total)

    def end(self, line: str) -> None:
        self._finished += 1
        self._bars.update(self._files, completed=self._finished)
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
