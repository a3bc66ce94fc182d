"""The processes of all rows: as many stay warm as memory holds; one that had to go warms up again at its next turn."""

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
"""MiB that stay free besides what a row wants."""
GROWTH = 2.0
"""How many times as much as the first run another may take: ONNX Runtime's takes 1.8 times."""


class WorkerPool:
    """Asks the rows' processes, one at a time; its end is theirs."""

    def __init__(self, say: Say):
        self._say = say
        self._jobs: dict[Row, Mapping[str, Any]] = {}
        self._wants: dict[Row, float] = {}
        """MiB that a row's process had at most in its last run; before one that is timed, what it may come to."""
        self._warm: dict[Row, tuple[Worker, ExitStack]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for row in list(self._warm):
            self._end(row)

    def warm_up(self, row: Row, job: Mapping[str, Any]) -> dict[str, Any]:
        """Let a row's process begin, load and run once; what it told. Raises RowError."""
        self._make_room(row)
        process = ExitStack()
        worker = process.enter_context(workers.started())
        self._jobs[row], self._warm[row] = job, (worker, process)
        told = self._told(row, lambda: worker.warm_up(job))
        self._wants.setdefault(row, GROWTH * told["peak_rss_mib"])
        return told

    def run(self, row: Row) -> dict[str, Any]:
        """One timed run of a row that warmed up before; what it told. Raises RowError."""
        if row not in self._warm:
            self.warm_up(row, self._jobs[row])
        self._make_room(row)
        told = self._told(row, self._warm[row][0].run)
        self._wants[row] = told["peak_rss_mib"]
        return told

    def _told(self, row: Row, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return ask()
        except RowError:
            self._end(row)
            raise

    def _make_room(self, row: Row) -> None:
        """End others, those that hold most first, until the row can have what it wants; a new one, what the largest."""
        held = {other: vitals.resident(worker.number) for other, (worker, _) in self._warm.items()}
        most = self._wants.get(row, max(self._wants.values(), default=0.0)) - held.pop(row, 0.0)
        while held and (free := vitals.available()) is not None and free - most < RESERVE:
            largest = max(held, key=lambda other: held[other])
            self._say(f"memory is short: {largest} ends, and will warm up again at its turn")
            self._end(largest)
            del held[largest]

    def _end(self, row: Row) -> None:
        _, process = self._warm.pop(row)
        process.close()
