"""What a run tells while it works: lines for a person, `log.txt`, and `metrics.jsonl` for tools."""

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
    """The voice of the main process; on every other process it is silent and writes nothing."""

    def __init__(self, folder: Path, speaks: bool, track: Callable[[dict[str, float], int], None] | None = None):
        """track: also takes every measured number, as (numbers by name, step); for experiment trackers."""
        self._metrics = folder / "metrics.jsonl"
        self._text = folder / "log.txt"
        self._speaks = speaks
        self._track = track
        self._console = Console(stderr=True)
        self._bar: tuple[Progress, TaskID] | None = None

    def say(self, line: str) -> None:
        """One line for a person."""
        if not self._speaks:
            return
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        with self._text.open("a") as file:
            file.write(f"{time.strftime('%H:%M:%S')} {line}\n")

    def measure(self, stage: str, step: int, facts: Mapping[str, Value]) -> None:
        """Measured facts of one step of a stage."""
        if self._track:
            self._track({f"{stage}/{name}": value for name, value in _numbers(facts)}, step)
        if not self._speaks:
            return
        with self._metrics.open("a") as file:
            file.write(json.dumps({"stage": stage, "step": step, **facts}) + "\n")
        line = "  ".join(f"{name} {_shown(value)}" for name, value in facts.items())
        if self._bar:
            self._bar[0].update(self._bar[1], completed=step, facts=line)
        else:
            self.say(f"{stage}  step {step}  {line}")

    def forget(self, stage: str, after: int) -> None:
        """Drop what was measured in a stage after a step: the run resumes there and will measure it again."""
        if not self._speaks or not self._metrics.exists():
            return
        lines = self._metrics.read_text().splitlines()
        kept = [line for line in lines if not _is_later(line, stage, after)]
        partial = self._metrics.with_suffix(".partial")
        partial.write_text("".join(f"{line}\n" for line in kept))
        partial.replace(self._metrics)

    @contextmanager
    def progress(self, stage: str, steps: int) -> Iterator[None]:
        """On a terminal, a bar with the time that remains, moved on by `measure`."""
        if not (self._speaks and self._console.is_terminal):
            yield
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[facts]}"),
        )
        with Progress(*columns, console=self._console) as progress:
            self._bar = progress, progress.add_task(stage, total=steps, facts="")
            try:
                yield
            finally:
                self._bar = None


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Everything that was measured in a run, in order."""
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines() if _is_whole(line)] if path.exists() else []


def _is_later(line: str, stage: str, after: int) -> bool:
    if not _is_whole(line):
        return True
    entry = json.loads(line)
    return entry["stage"] == stage and entry["step"] > after


def _is_whole(line: str) -> bool:
    """Whether a line was written to its end; a killed process may leave half of one."""
    return line.startswith("{") and line.endswith("}")


def _numbers(facts: Mapping[str, Value]) -> Iterator[tuple[str, float]]:
    """Every fact as single numbers: a list gives one for each of its places."""
    for name, value in facts.items():
        if isinstance(value, list):
            yield from ((f"{name}/{k}", v) for k, v in enumerate(value))
        else:
            yield name, value


def _shown(value: Value) -> str:
    return "/".join(f"{v:.2f}" for v in value) if isinstance(value, list) else f"{value:.4g}"
