"""Claims about the processes of a bench if memory is short."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowvision.bench import vitals
from lowvision.bench.pool import RESERVE, WorkerPool
from lowvision.bench.rows import Row
from lowvision.bench.workers import RowError

FIRST, SECOND = Row("bicubic", "torch"), Row("base_whole", "torch")


@pytest.fixture
def jobs(weights_file: Path, tmp_path: Path) -> dict[Row, dict[str, Any]]:
    np.save(tmp_path / "x.npy", np.zeros((3, 48, 64), np.float32))
    job = {"weights": str(weights_file), "image": str(tmp_path / "x.npy"), "shares": None, "tiles": None}
    return {row: {**job, "row": asdict(row)} for row in (FIRST, SECOND)}


def test_short_memory_stops_other_processes_which_warm_up_again_at_their_turn(
    jobs: dict[Row, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    with WorkerPool(messages.append) as pool:
        pool.warm_up(FIRST, jobs[FIRST])
        monkeypatch.setattr(vitals, "available_mib", lambda: 100.0)
        pool.warm_up(SECOND, jobs[SECOND])
        assert messages == ["low memory: bicubic:torch is stopped and warms up again later"]
        assert pool.run(FIRST)["seconds"] > 0
        assert messages[1:] == ["low memory: base_whole:torch is stopped and warms up again later"]


def test_a_row_after_its_first_run_gets_memory_headroom(
    jobs: dict[Row, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    with WorkerPool(messages.append) as pool:
        peak = pool.warm_up(FIRST, jobs[FIRST])["peak_rss_mib"]
        pool.warm_up(SECOND, jobs[SECOND])
        monkeypatch.setattr(vitals, "available_mib", lambda: RESERVE + peak / 2)
        pool.run(FIRST)
        assert messages == ["low memory: base_whole:torch is stopped and warms up again later"]


def test_with_enough_memory_all_processes_stay(
    jobs: dict[Row, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    monkeypatch.setattr(vitals, "available_mib", lambda: 1e6)
    with WorkerPool(messages.append) as pool:
        for row, job in jobs.items():
            pool.warm_up(row, job)
        assert all(pool.run(row)["seconds"] > 0 for row in jobs)
    assert not messages


def test_a_failing_process_ends(jobs: dict[Row, dict[str, Any]]) -> None:
    with WorkerPool(lambda line: None) as pool:
        with pytest.raises(RowError, match="no runtime named 'nope'"):
            pool.warm_up(FIRST, {**jobs[FIRST], "row": {"what": "routed", "runtime": "nope"}})
        assert pool.warm_up(SECOND, jobs[SECOND])["peak_rss_mib"] > 50
