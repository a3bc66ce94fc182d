"""Keep the worker processes of all rows warm as far as memory allows; a stopped one warms up again when needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Self

from lowvision.bench import vitals, workers
from lowvision.bench.rows import Row
from lowvision.bench.workers import RowError, Worker

Say = Callable[[str], None]
"""Takes a progress message."""

RESERVE = 1024.0
"""Memory in MiB that stays free in addition to what a row needs."""
GROWTH = 2.0
"""Largest ratio of the memory of a later run to that of the first; ONNX Runtime needs 1.8."""


class WorkerPool:
    """Runs the rows' workers one at a time and ends them on exit."""

    def __init__(self, log: Say):
        self._log = log
        self._jobs: dict[Row, Mapping[str, Any]] = {}
        self._needed_mib: dict[Row, float] = {}
        """Peak memory of a row's last timed run; before the first one, an upper estimate."""
        self._warm: dict[Row, tuple[Worker, ExitStack]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for row in list(self._warm):
            self._end(row)

    def warm_up(self, row: Row, job: Mapping[str, Any]) -> dict[str, Any]:
        """Start a row's worker, load and run once; return its measurement. Raises RowError."""
        self._free_memory(row)
        process = ExitStack()
        worker = process.enter_context(workers.started())
        self._jobs[row], self._warm[row] = job, (worker, process)
        measured = self._measured(row, lambda: worker.warm_up(job))
        self._needed_mib.setdefault(row, GROWTH * measured["peak_rss_mib"])
        return measured

    def run(self, row: Row) -> dict[str, Any]:
        """Return the measurement of one timed run of a row that warmed up before. Raises RowError."""
        if row not in self._warm:
            self.warm_up(row, self._jobs[row])
        self._free_memory(row)
        measured = self._measured(row, self._warm[row][0].run)
        self._needed_mib[row] = measured["peak_rss_mib"]
        return measured

    def _measured(self, row: Row, request: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return request()
        except RowError:
            self._end(row)
            raise

    def _free_memory(self, row: Row) -> None:
        """End other workers, the largest first, until the row has enough memory.

        A row that has not run yet is assumed to need as much as the largest one so far.
        """
        held = {other: vitals.resident_mib(worker.process_id) for other, (worker, _) in self._warm.items()}
        needed = self._needed_mib.get(row, max(self._needed_mib.values(), default=0.0)) - held.pop(row, 0.0)
        while held and vitals.available_mib() - needed < RESERVE:
            largest = max(held, key=lambda other: held[other])
            self._log(f"low memory: {largest} is stopped and warms up again later")
            self._end(largest)
            del held[largest]

    def _end(self, row: Row) -> None:
        _, process = self._warm.pop(row)
        process.close()
