"""Run a network on a whole image; if memory does not suffice, in bands whose context makes the result the same."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lowvision.errors import LowvisionError
from lowvision.routing import memory
from lowvision.routing.tiling import up
from lowvision.system.out_of_memory import is_out_of_memory

FEWEST_ROWS = 16
"""LQ rows of a band that is not halved again; a much smaller one would consist of context alone."""

Network = Callable[[Tensor], Tensor]


def restore_whole(network: Network, image: Tensor, scale: int, reach: int | None, multiple_of: int = 1) -> Tensor:
    """Restore image (C,H,W) to (C,s*H,s*W), as a whole or in bands of rows; bands are collected on the CPU.

    reach: radius of the receptive field in LQ pixels, the context of a band; None: bands would change the result.
    multiple_of: divisor of the height and width of the image, and of every band.
    Raises LowvisionError if memory does not suffice.
    """
    whole = _attempt(lambda: network(image[None])[0])
    if whole is not None:
        return whole
    height, width = image.shape[1:]
    rows = height
    while reach is not None and rows > FEWEST_ROWS:
        memory.release()
        rows = up(rows // 2, multiple_of)
        bands = _attempt(lambda: _in_bands(network, image, scale, up(reach, multiple_of), rows))  # noqa: B023  # called at once
        if bands is not None:
            return bands
        if rows <= multiple_of:
            break
    raise LowvisionError(f"out of memory with a whole image of {width}x{height}")


def _in_bands(network: Network, image: Tensor, scale: int, halo: int, rows: int) -> Tensor:
    height = image.shape[1]
    bands = []
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        first, last = max(0, top - halo), min(height, bottom + halo)
        restored = network(image[None, :, first:last])[0]
        bands.append(restored[:, scale * (top - first) : scale * (bottom - first)].cpu())
    return torch.cat(bands, dim=1)


def _attempt(work: Callable[[], Tensor]) -> Tensor | None:
    """Return the result; None if memory ran out. Outside the except clause, the memory of the attempt is free."""
    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return None
