"""Claims about memory and load as the bench measures them."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from lowvision.bench import vitals
from lowvision.bench.vitals import OtherLoad

MEMORY = """
import numpy as np
from lowvision.bench import vitals
print(vitals.resident_mib())
block = np.ones(256 * 2**20, np.uint8)
print(vitals.resident_mib(), vitals.peak_rss_mib())
del block
print(vitals.resident_mib(), vitals.peak_rss_mib())
"""


def test_an_allocation_raises_rss_and_peak_rss() -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY], check=True, capture_output=True, text=True)
    before, held, peak, after, last_peak = map(float, done.stdout.split())
    assert held - before > 200  # the kernel may reclaim other pages meanwhile, and counts approximately
    assert peak > held - 1
    assert after < held - 200
    assert last_peak > peak - 2


def test_a_new_process_does_not_inherit_the_peak_of_its_parent() -> None:
    block = np.ones(512 * 2**20, np.uint8)
    program = "from lowvision.bench import vitals; print(vitals.peak_rss_mib())"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert float(done.stdout) < block.nbytes / 2**20


def test_an_ended_process_has_no_memory() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert vitals.resident_mib(process.pid) == 0.0


def test_available_memory_is_at_most_that_of_the_machine() -> None:
    assert 0 < vitals.available_mib() <= psutil.virtual_memory().total / 2**20


def test_no_load_is_returned_for_too_short_an_interval() -> None:
    assert OtherLoad().cores() is None


def test_the_load_includes_other_processes_and_excludes_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, own, clock = iter([100.0, 106.0]), iter([1.0, 3.0]), iter([0.0, 2.0])
    monkeypatch.setattr(vitals, "_machine_seconds", lambda: next(machine))
    monkeypatch.setattr(time, "process_time", lambda: next(own))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert OtherLoad().cores() == 2.0  # 6 CPU seconds of the machine, 2 of this process, in 2 seconds


def test_bench_modules_do_not_import_resource() -> None:
    folder = Path(vitals.__file__).parent
    imported = {
        alias.name
        for path in folder.glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert "psutil" in imported
    assert "resource" not in imported
