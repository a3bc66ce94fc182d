"""How far the work on many files is: bars with the time that remains on a terminal, plain lines elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

NAME = 40
"""Of a longer name only the end stands before its bar."""


class Progress(ABC):
    """Is told of each file in turn: `begin`, `move` as often as there is something to tell, `end`."""

    @abstractmethod
    def begin(self, name: str) -> None:
        """Work on a file begins."""

    @abstractmethod
    def move(self, done: int, total: int) -> None:
        """So many of the file's tiles are done."""

    @abstractmethod
    def end(self, line: str) -> None:
        """Work on the file has ended, as the line tells."""


@contextmanager
def telling(files: int, is_main_process: bool) -> Iterator[Progress]:
    """The progress of a process with so many files; on a terminal only the one that leads draws bars."""
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
    """A plain line for every file that has ended."""

    def __init__(self, console: Console, files: int):
        self._console, self._files, self._ended = console, files, 0

    def begin(self, name: str) -> None:
        """Nothing yet: a line is told once, when it is true."""

    def move(self, done: int, total: int) -> None:
        """Nothing: lines of tiles would bury the lines of files."""

    def end(self, line: str) -> None:
        self._ended += 1
        self._console.print(f"{self._ended}/{self._files} {line}", markup=False, highlight=False, soft_wrap=True)


class TwoBars(Progress):
    """One bar for all files, one for the tiles of the present one; what has ended scrolls above them."""

    def __init__(self, bars: Bars, files: int):
        self._bars, self._ended = bars, 0
        self._files = bars.add_task("all", total=files, what="files")
        self._tiles = bars.add_task("", total=None, what="tiles", visible=files > 0)

    def begin(self, name: str) -> None:
        short = name if len(name) <= NAME else f"…{name[1 - NAME :]}"
        self._bars.reset(self._tiles, description=short)

    def move(self, done: int, total: int) -> None:
        self._bars.update(self._tiles, completed=done, total=total)
        # Fractions of a file: one long file moves the time that remains too.
        self._bars.update(self._files, completed=self._ended + done / total)

    def end(self, line: str) -> None:
        self._ended += 1
        self._bars.update(self._files, completed=self._ended)
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
