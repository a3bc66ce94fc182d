"""Claims about the processes of rows."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lowvision.bench import workers
from lowvision.bench.workers import RowError


def test_a_waiting_worker_uses_no_cpu_and_a_killed_one_is_reported(weights_file: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((3, 48, 64), np.float32))
    job = {"weights": str(weights_file), "image": str(tmp_path / "x.npy"), "shares": None, "tiles": None}
    with workers.started() as worker:
        worker.warm_up({**job, "row": {"method": "base_whole", "runtime": "openvino"}})
        assert worker.run()["seconds"] > 0
        if sys.platform == "linux":
            time.sleep(0.2)
            before = cpu_seconds(worker.process_id)
            time.sleep(0.5)
            assert cpu_seconds(worker.process_id) - before < 0.05
        os.kill(worker.process_id, signal.SIGKILL)
        with pytest.raises(RowError, match="memory ran out"):
            worker.run()


def cpu_seconds(process: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
