"""Recognise that memory ran out: libraries raise errors of several types for it."""

from __future__ import annotations

import torch

SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "bad_alloc", "status_alloc_failed")
"""Messages of libraries that raise a plain RuntimeError if memory runs out; the last is that of cuDNN and cuBLAS."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return True if an error of PyTorch, Python or a runtime means that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(sign in str(error).lower() for sign in SIGNS)
