"""Start worker processes, send them requests, and find the reason if one has ended."""

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
    """A process that measures one row; it is idle between requests."""

    _process: subprocess.Popen[str]
    _stderr: IO[str]

    @property
    def process_id(self) -> int:
        return self._process.pid

    def warm_up(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Load the networks and run once; return the measurement. Raises RowError."""
        return self._request(job)

    def run(self) -> dict[str, Any]:
        """Return the measurement of one timed run. Raises RowError."""
        return self._request({})

    def _request(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer = json.loads(line) if line else {"failed": self._end_reason()}
        if "failed" in answer:
            raise RowError(answer["failed"])
        return answer

    def _end_reason(self) -> str:
        """Return why the process has ended."""
        code = self._process.wait()
        if sys.platform != "win32" and code == -signal.SIGKILL:
            return "its process was killed, most likely because memory ran out"
        self._stderr.seek(0)
        lines = self._stderr.read().strip().splitlines()
        cause = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return f"its process ended {cause}{': ' + lines[-1] if lines else ''}"


@contextmanager
def started() -> Iterator[Worker]:
    """Start a worker and end it with the block."""
    with tempfile.TemporaryFile("w+") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "lowvision.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        try:
            yield Worker(process, stderr)
        finally:
            process.kill()  # it has no state to save, and an orderly exit takes a second
            process.communicate()
