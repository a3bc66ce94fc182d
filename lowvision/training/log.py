"""The log of a run: messages on the terminal and in `log.txt`, metrics in `metrics.jsonl`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

Value = float | list[float]


class Log:
    """Log of the main process; on every other process it prints and writes nothing."""

    def __init__(self, folder: Path, speaks: bool, track: Callable[[dict[str, float], int], None] | None = None):
        """Open the log of a run folder.

        speaks: True on the main process. track: called with (values by name, step), e.g. for experiment trackers.
        """
        self._metrics = folder / "metrics.jsonl"
        self._text = folder / "log.txt"
        self._speaks = speaks
        self._track = track
        self._console = Console(stderr=True)
        self._bar: tuple[Progress, TaskID] | None = None

    def info(self, line: str) -> None:
        """Print a message, and append it to `log.txt`."""
        if not self._speaks:
            return
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        with self._text.open("a") as file:
            file.write(f"{time.strftime('%H:%M:%S')} {line}\n")

    def measure(self, stage: str, step: int, metrics: Mapping[str, Value]) -> None:
        """Record the metrics of one step of a stage."""
        if self._track:
            self._track({f"{stage}/{name}": value for name, value in _numbers(metrics)}, step)
        if not self._speaks:
            return
        with self._metrics.open("a") as file:
            file.write(json.dumps({"stage": stage, "step": step, **metrics}) + "\n")
        line = "  ".join(f"{name} {_formatted(value)}" for name, value in metrics.items())
        if self._bar:
            self._bar[0].update(self._bar[1], completed=step, metrics=line)
        else:
            self.info(f"{stage}  step {step}  {line}")

    def discard(self, stage: str, after: int) -> None:
        """Delete the metrics of a stage after a step, because a resumed run records them again."""
        if not self._speaks or not self._metrics.exists():
            return
        lines = self._metrics.read_text().splitlines()
        kept = [line for line in lines if not _is_later(line, stage, after)]
        partial = self._metrics.with_suffix(".partial")
        partial.write_text("".join(f"{line}\n" for line in kept))
        partial.replace(self._metrics)

    @contextmanager
    def progress(self, stage: str, steps: int) -> Iterator[None]:
        """Show a progress bar with the remaining time on a terminal; `measure` advances it."""
        if not (self._speaks and self._console.is_terminal):
            yield
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
        )
        with Progress(*columns, console=self._console) as progress:
            self._bar = progress, progress.add_task(stage, total=steps, metrics="")
            try:
                yield
            finally:
                self._bar = None


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Read all metrics of a run, in order."""
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines() if _is_complete(line)] if path.exists() else []


def _is_later(line: str, stage: str, after: int) -> bool:
    if not _is_complete(line):
        return True
    entry = json.loads(line)
    return entry["stage"] == stage and entry["step"] > after


def _is_complete(line: str) -> bool:
    """Return False for a partial line, which a killed process may leave."""
    return line.startswith("{") and line.endswith("}")


def _numbers(metrics: Mapping[str, Value]) -> Iterator[tuple[str, float]]:
    """Yield every metric as single numbers: a list yields one per position."""
    for name, value in metrics.items():
        if isinstance(value, list):
            yield from ((f"{name}/{k}", v) for k, v in enumerate(value))
        else:
            yield name, value


def _formatted(value: Value) -> str:
    return "/".join(f"{v:.2f}" for v in value) if isinstance(value, list) else f"{value:.4g}"
