"""Number of threads per call."""

from __future__ import annotations

import torch


def cores() -> int:
    """Return the cores that PyTorch counts for this process: physical cores, CPU affinity, OMP_NUM_THREADS."""
    return torch.get_num_threads()


def threads_per_call(callers: int) -> int:
    """Return the threads of one call if `callers` calls run concurrently."""
    return max(1, cores() // callers)
