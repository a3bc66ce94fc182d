"""Measure memory and CPU load of this process and of the machine, on every system that psutil supports."""

from __future__ import annotations

import re
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

MIB = 2**20
MIN_SECONDS = 0.3
"""Shortest time over which load is measured: the system counts CPU time in ticks of about 10 ms per core."""


def resident_mib(process_id: int | None = None) -> float:
    """Return the RSS of this process, or of another one; 0 if the other one has ended."""
    try:
        return psutil.Process(process_id).memory_info().rss / MIB
    except psutil.NoSuchProcess:
        return 0.0


def peak_rss_mib() -> float:
    """Return the largest RSS of this process since its start."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / MIB
    if peak := _peak_rss_of_linux():
        return peak
    import resource  # psutil measures the peak only on Windows, and this module does not exist there

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / MIB if sys.platform == "darwin" else largest / 1024


def available_mib() -> float:
    """Return the memory that processes can still allocate without swapping."""
    return psutil.virtual_memory().available / MIB


class OtherLoad:
    """Measure how busy other processes keep the machine, from construction on."""

    def __init__(self) -> None:
        self._began, self._own, self._all = time.perf_counter(), time.process_time(), _machine_seconds()

    def cores(self) -> float | None:
        """Return the number of cores that other processes kept busy; None after less than MIN_SECONDS."""
        seconds, own = time.perf_counter() - self._began, time.process_time() - self._own
        if seconds < MIN_SECONDS:
            return None
        return max(0.0, _machine_seconds() - self._all - own) / seconds


def prefer_oom_kill() -> None:
    """Make Linux end this process first if memory runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _peak_rss_of_linux() -> float | None:
    """Return VmHWM in MiB, None on other systems; on Linux `ru_maxrss` of a new process includes its parent's RSS."""
    try:
        match = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(match[1]) / 1024 if match else None


def _machine_seconds() -> float:
    """Return the CPU seconds that all processes of the machine have used."""
    times = psutil.cpu_times()
    return times.user + times.system + sum(getattr(times, name, 0.0) for name in ("nice", "irq", "softirq"))
