"""Tells the C library to keep the memory that it was given, instead of returning it after every layer of a network."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt."""
KEPT = 1 << 30
"""Bytes."""


def keep_memory() -> None:
    """For this process, from here on; without effect where the C library is not glibc.

    As it is, glibc maps every large tensor anew and the kernel clears its pages at first touch: a third of the time
    of a convolutional network on large images, about a sixth of that of training one (`benchmarks/train_memory.py`).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_MMAP_THRESHOLD, KEPT)
    mallopt(M_TRIM_THRESHOLD, KEPT)
