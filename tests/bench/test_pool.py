"""Claims about the processes of a bench if memory is short."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowvision.bench import vitals, workers
from lowvision.bench.pool import RESERVE, WorkerPool
from lowvision.bench.rows import Row
from lowvision.bench.workers import RowError

FIRST, SECOND = Row("bicubic", "torch"), Row("base_whole", "torch")
HELD, PEAK = 50.0, 100.0
"""MiB of a fake process: while it is idle, and at its peak."""


@pytest.fixture
def jobs(weights_file: Path, tmp_path: Path) -> dict[Row, dict[str, Any]]:
    np.save(tmp_path / "x.npy", np.zeros((3, 48, 64), np.float32))
    job = {"weights": str(weights_file), "image": str(tmp_path / "x.npy"), "shares": None, "tiles": None}
    return {row: {**job, "row": asdict(row)} for row in (FIRST, SECOND)}


class FakeWorker:
    """A worker without a process, of known memory."""

    process_id = 0

    def warm_up(self, job: dict[str, Any]) -> dict[str, Any]:
        return {"peak_rss_mib": PEAK}

    def run(self) -> dict[str, Any]:
        return {"seconds": 1.0, "peak_rss_mib": PEAK}


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> list[FakeWorker]:
    """The fake workers that run; test_measure.py starts real ones."""
    running: list[FakeWorker] = []

    @contextmanager
    def started() -> Iterator[FakeWorker]:
        running.append(FakeWorker())
        worker = running[-1]
        yield worker
        running.remove(worker)

    monkeypatch.setattr(workers, "started", started)
    monkeypatch.setattr(vitals, "resident_mib", lambda process_id: HELD)
    return running


def test_short_memory_stops_other_processes_which_warm_up_again_at_their_turn(
    alive: list[FakeWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    with WorkerPool(messages.append) as pool:
        pool.warm_up(FIRST, {})
        monkeypatch.setattr(vitals, "available_mib", lambda: 100.0)
        pool.warm_up(SECOND, {})
        assert messages == ["low memory: bicubic:torch is stopped and warms up again later"]
        assert len(alive) == 1
        assert pool.run(FIRST)["seconds"] > 0
        assert messages[1:] == ["low memory: base_whole:torch is stopped and warms up again later"]
        assert len(alive) == 1
    assert not alive


def test_a_row_after_its_first_run_gets_memory_headroom(
    alive: list[FakeWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    monkeypatch.setattr(vitals, "available_mib", lambda: 1e6)
    with WorkerPool(messages.append) as pool:
        pool.warm_up(FIRST, {})
        pool.warm_up(SECOND, {})
        monkeypatch.setattr(vitals, "available_mib", lambda: RESERVE + PEAK / 2)
        pool.run(FIRST)
        assert messages == ["low memory: base_whole:torch is stopped and warms up again later"]


def test_with_enough_memory_all_processes_stay(alive: list[FakeWorker], monkeypatch: pytest.MonkeyPatch) -> None:
    messages: list[str] = []
    monkeypatch.setattr(vitals, "available_mib", lambda: 1e6)
    with WorkerPool(messages.append) as pool:
        for row in (FIRST, SECOND):
            pool.warm_up(row, {})
        assert all(pool.run(row)["seconds"] > 0 for row in (FIRST, SECOND))
        assert len(alive) == 2
    assert not messages


def test_a_failing_process_ends(jobs: dict[Row, dict[str, Any]]) -> None:
    with WorkerPool(lambda line: None) as pool:
        with pytest.raises(RowError, match="no runtime named 'nope'"):
            pool.warm_up(FIRST, {**jobs[FIRST], "row": {"method": "routed", "runtime": "nope"}})
        assert pool.warm_up(SECOND, jobs[SECOND])["peak_rss_mib"] > 50
