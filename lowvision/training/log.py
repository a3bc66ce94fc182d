"""The log of a run: messages on the terminal and in `log.txt`, metrics in `metrics.jsonl`."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from lowvision.plugins.observers import Observer
from lowvision.system.atomic import whole
from lowvision.system.printable import printable_lines
from lowvision.training.observing import Observers

logger = logging.getLogger("lowvision")

Value = float | list[float]
METRICS = "metrics.jsonl"
LOGS = ("log.txt", METRICS)
"""Files of a log in the run folder."""


class Log:
    """Log of the main process; on every other process it prints and writes nothing."""

    def __init__(self, folder: Path, speaks: bool, observers: Sequence[Observer] = (), prints: bool = True):
        """Open the log of a run folder.

        speaks: True on the main process. observers: follow the run, on the main process.
        prints: False: messages go to the logger `lowvision` and to the file only.
        """
        self._text, self._metrics = (folder / name for name in LOGS)
        self._speaks = speaks
        self.observers = Observers(observers, speaks, self.info)
        self._console = Console(stderr=True, quiet=not prints)
        self._prints = prints
        self._bar: tuple[Progress, TaskID] | None = None
        self._total = ""
        """The last step of the stage that is in progress, e.g. `/3000`."""

    def info(self, line: str) -> None:
        """Print a message, and append it to `log.txt`."""
        if not self._speaks:
            return
        if not self._prints:
            logger.info("%s", line)
        self._console.print(printable_lines(line), markup=False, highlight=False, soft_wrap=True)
        with self._text.open("a") as file:
            file.write(f"{time.strftime('%H:%M:%S')} {line}\n")

    def measure(self, stage: str, step: int, metrics: Mapping[str, Value]) -> None:
        """Record the metrics of one step of a stage."""
        if not self._speaks:
            return
        with self._metrics.open("a") as file:
            file.write(json.dumps({"stage": stage, "step": step, **metrics}) + "\n")
        self.observers.on_metrics(stage, step, metrics)
        line = "  ".join(f"{name} {_formatted(value)}" for name, value in metrics.items())
        if self._bar:
            self._bar[0].update(self._bar[1], completed=step, metrics=line)
        else:
            self.info(f"{stage}  step {step}{self._total}  {line}")

    def discard(self, stage: str, after: int) -> None:
        """Delete the metrics of a stage after a step, because a resumed run records them again."""
        if not self._speaks or not self._metrics.exists():
            return
        kept = [line for line, entry in _entries(self._metrics) if not _is_later(entry, stage, after)]
        with whole(self._metrics) as part:
            part.write_text("".join(f"{line}\n" for line in kept))

    def start(self, stage: str) -> None:
        """Call observers at the start of a training, with its metrics before an interruption."""
        if self._speaks:
            entries = [entry for _, entry in _entries(self._metrics)] if self._metrics.exists() else []
            self.observers.on_stage_start(stage, [_step(entry) for entry in entries if entry["stage"] == stage])

    @contextmanager
    def progress(self, stage: str, steps: int) -> Iterator[None]:
        """Show a progress bar with the remaining time on a terminal; `measure` advances it."""
        if not (self._speaks and self._prints and self._console.is_terminal):
            self._total = f"/{steps}"
            try:
                yield
            finally:
                self._total = ""
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
    path = folder / METRICS
    return [entry for _, entry in _entries(path)] if path.exists() else []


def damaged_lines(folder: Path) -> int:
    """Return the number of damaged lines in a run's metrics, which `read_metrics` skips."""
    path = folder / METRICS
    return len(_lines(path)) - len(_entries(path)) if path.exists() else 0


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def _entries(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the lines with their entries; damaged lines, e.g. a partial one that a kill leaves, are left out."""
    entries = ((line, _parsed(line)) for line in _lines(path))
    return [(line, entry) for line, entry in entries if entry is not None]


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_entry = isinstance(entry, dict) and isinstance(entry.get("stage"), str) and isinstance(entry.get("step"), int)
    return entry if is_entry and all(_is_value(value) for name, value in entry.items() if name != "stage") else None


def _is_value(value: Any) -> bool:
    return all(isinstance(number, int | float) for number in (value if isinstance(value, list) else [value]))


def _is_later(entry: Mapping[str, Any], stage: str, after: int) -> bool:
    return bool(entry["stage"] == stage and entry["step"] > after)


def _step(entry: Mapping[str, Any]) -> tuple[int, dict[str, Value]]:
    """Return step and metrics of an entry."""
    return entry["step"], {name: value for name, value in entry.items() if name not in ("stage", "step")}


def _formatted(value: Value) -> str:
    return "/".join(f"{v:.2f}" for v in value) if isinstance(value, list) else f"{value:.4g}"
