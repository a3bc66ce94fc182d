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
    """How many windows go through a network at a time; it only falls."""

    def __init__(self, batch: int):
        self.batch = batch

    def lower(self, batch: int) -> None:
        if batch < self.batch:
            logger.warning("out of memory: from here on %d of one kind at a time", batch)
            self.batch = batch


def run_in_parts(network: Callable[[Tensor], Tensor], tiles: Tensor, limit: Limit) -> Tensor:
    """What the network makes of tiles (B,C,h,w), in halves where there is no memory for all at once.

    Raises LowvisionError where there is none for a single one.
    """
    try:
        return network(tiles)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if len(tiles) == 1:
            height, width = tiles.shape[2:]
            raise LowvisionError(f"out of memory with a single window of {height}x{width} pixels") from error
    # Beyond the except clause: its traceback would keep the memory of the attempt.
    half = len(tiles) // 2
    limit.lower(half)
    return torch.cat([run_in_parts(network, part, limit) for part in tiles.split(half)])


def is_out_of_memory(error: BaseException) -> bool:
    """Whether that is what an error of PyTorch, of Python or of a runtime says."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(sign in str(error).lower() for sign in SIGNS)
