"""Starts the processes that measure rows, asks them, and tells why one has nothing to say."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from lowvision.errors import LowvisionError


class RowError(LowvisionError):
    """One row cannot be measured."""


@dataclass(frozen=True)
class Worker:
    """A process that measures one row; it waits whenever it is not asked."""

    _process: subprocess.Popen[str]
    _said: IO[str]
    """What it told a person, or a programmer."""

    @property
    def number(self) -> int:
        """Of the process."""
        return self._process.pid

    def warm_up(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Let it load and run once. Raises RowError."""
        return self._ask(job)

    def run(self) -> dict[str, Any]:
        """One timed run. Raises RowError."""
        return self._ask({})

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer = json.loads(line) if line else {"failed": self._end()}
        if "failed" in answer:
            raise RowError(answer["failed"])
        return answer

    def _end(self) -> str:
        """Why it is no longer there."""
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return "its process was killed, most likely because memory ran out"
        self._said.seek(0)
        lines = self._said.read().strip().splitlines()
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return f"its process ended {how}{': ' + lines[-1] if lines else ''}"


@contextmanager
def started() -> Iterator[Worker]:
    """A worker, which is ended with the block."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "lowvision.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        try:
            yield Worker(process, said)
        finally:
            process.kill()  # it has nothing to lose, and ending of itself would take it a second
            process.communicate()
