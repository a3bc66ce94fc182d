"""Number of CPU cores that this process may use: affinity and container limits included."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP_QUOTAS = (
    ("/sys/fs/cgroup/cpu.max",),
    ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
)
"""Files with quota and period of CPU time: cgroup 2, then cgroup 1."""


def usable() -> int:
    """Return the number of cores by affinity and cgroup quota, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return max(1, cores if quota is None else min(cores, int(quota)))


def per_process() -> int:
    """Return the cores for this process if the processes that torchrun started on this machine share them."""
    return max(1, usable() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _quota() -> float | None:
    """Return the number of cores whose time the container may use; None: no limit."""
    for files in CGROUP_QUOTAS:
        try:
            quota, period = (float(word) for file in files for word in Path(file).read_text().split())
        except (OSError, ValueError):  # no such cgroup, or the word `max`
            continue
        if quota > 0 and period > 0:
            return quota / period
    return None
