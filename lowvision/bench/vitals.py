"""What the system tells of this process and of the machine: memory, and who used the cores."""

from __future__ import annotations

import os
import re
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

KIB, MIB = 1024, 2**20
STATUS = "/proc/self/status"
LEAST = 0.3
"""Seconds: the machine's clock of CPU time ticks every 10 ms, on each core."""


def resident(process: int | None = None) -> float:
    """MiB of memory that this process has now, at its peak where the system does not tell; or another: then 0."""
    if process is not None:
        return _told(f"/proc/{process}/status", "VmRSS") or 0.0
    return _told(STATUS, "VmRSS") or peak()


def peak() -> float:
    """MiB of memory that this process had at most since it began."""
    told = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _told(STATUS, "VmHWM") or told * (1 if sys.platform == "darwin" else KIB) / MIB


def available() -> float | None:
    """MiB that processes could have besides what they have; None where the system does not tell."""
    return _told("/proc/meminfo", "MemAvailable")


class OtherLoad:
    """How busy other processes keep the machine, from when this is made."""

    def __init__(self) -> None:
        self._began, self._own, self._all = time.perf_counter(), time.process_time(), _machine_seconds()

    def cores(self) -> float | None:
        """Cores that they kept busy; None where the system does not tell, or after too short a time."""
        seconds, own, all_now = time.perf_counter() - self._began, time.process_time() - self._own, _machine_seconds()
        if self._all is None or all_now is None or seconds < LEAST:
            return None
        return max(0.0, all_now - self._all - own) / seconds


def prefer_oom_kill() -> None:
    """Where memory runs out, let the system end this process, not a stranger's."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _machine_seconds() -> float | None:
    """CPU seconds that all processes of the machine have used together; None where the system does not tell."""
    try:
        user, nice, system, _idle, _waiting, irq, softirq = map(int, _read("/proc/stat").split()[1:8])
    except (OSError, ValueError):
        return None
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def _told(path: str, name: str) -> float | None:
    """MiB, from what Linux tells of a process or of the machine."""
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB$", _read(path), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * KIB / MIB if found else None


def _read(path: str) -> str:
    return Path(path).read_text()
