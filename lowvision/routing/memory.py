"""What is done when memory runs out: a batch is cut in halves, and later ones are made smaller."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from lowvision.errors import LowvisionError

logger = logging.getLogger("lowvision")

SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "bad_alloc")
"""What libraries say of it that raise a plain RuntimeError."""


class Limit:
    """How many tiles go through a network at a time; it only falls."""

    def __init__(self, tiles: int):
        self._tiles = tiles

    def windows(self, tiles: int) -> int:
        """How many windows may go, of so many tiles each; one at least."""
        return max(1, self._tiles // tiles)

    def lower(self, tiles: int) -> None:
        if tiles < self._tiles:
            logger.warning("out of memory: from here on at most %d tiles at a time", tiles)
            self._tiles = tiles


def run_in_parts(network: Callable[[Tensor], Tensor], windows: Tensor, limit: Limit, tiles: int) -> Tensor:
    """What the network makes of windows (B,C,h,w) of so many tiles each; in halves where there is no memory for all.

    Raises LowvisionError where there is none for a single one.
    """
    parts = windows.split(limit.windows(tiles))
    if len(parts) > 1:
        return torch.cat([run_in_parts(network, part, limit, tiles) for part in parts])
    try:
        return network(windows)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if len(windows) == 1:
            height, width = windows.shape[2:]
            raise LowvisionError(f"out of memory with a single window of {height}x{width} pixels") from error
    # Beyond the except clause: its traceback would keep the memory of the attempt.
    limit.lower(len(windows) * tiles // 2)
    return run_in_parts(network, windows, limit, tiles)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether that is what an error of PyTorch, of Python or of a runtime says."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(sign in str(error).lower() for sign in SIGNS)
