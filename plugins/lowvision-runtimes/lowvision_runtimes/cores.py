"""How many threads a call may take."""

from __future__ import annotations

import torch


def cores() -> int:
    """The cores that this process may use, as PyTorch sees them: physical ones, its affinity, OMP_NUM_THREADS."""
    return torch.get_num_threads()


def for_each(callers: int) -> int:
    """The threads of one call where so many are made at once."""
    return max(1, cores() // callers)
