"""Recover from running out of memory: halve the batch, and keep later batches smaller."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from lowvision.errors import LowvisionError
from lowvision.system.out_of_memory import is_out_of_memory

logger = logging.getLogger("lowvision")


class Limit:
    """Maximum number of tiles per batch of a network; it only decreases."""

    def __init__(self, tiles: int):
        self._tiles = tiles

    def windows(self, tiles: int) -> int:
        """Return the maximum number of windows per batch, for windows of `tiles` tiles each; at least 1."""
        return max(1, self._tiles // tiles)

    def lower(self, tiles: int) -> None:
        if tiles < self._tiles:
            logger.warning("out of memory: the batch size is now at most %d tiles", tiles)
            self._tiles = tiles


def run_in_parts(network: Callable[[Tensor], Tensor], windows: Tensor, limit: Limit, tiles: int) -> Tensor:
    """Run the network on windows (B,C,h,w) of `tiles` tiles each; halve the batch while memory runs out.

    Raises LowvisionError if memory does not suffice for a single window.
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
    # Outside the except clause, because its traceback would keep the memory of the failed attempt.
    limit.lower(len(windows) * tiles // 2)
    release()
    return run_in_parts(network, windows, limit, tiles)


def release() -> None:
    """Return cached memory to the accelerator: blocks of the failed size may be free, but in pieces."""
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
