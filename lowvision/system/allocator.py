"""Make the C library keep freed memory instead of returning it to the system after every layer of a network."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of glibc's mallopt."""
KEPT = 1 << 30
"""Bytes up to which memory is kept."""


def keep_memory() -> None:
    """Keep freed memory in this process from now on; no effect if the C library is not glibc.

    By default glibc maps new memory for each large tensor, and the kernel clears its pages on first access. That
    takes a third of the time of networks that restore tiles, and up to a sixth of their training
    (`benchmarks/kept_memory.py`). Threads that start later share the memory of the main thread, because glibc returns
    their own in any case.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_MMAP_THRESHOLD, KEPT)
    mallopt(M_TRIM_THRESHOLD, KEPT)
    mallopt(M_ARENA_MAX, 1)
