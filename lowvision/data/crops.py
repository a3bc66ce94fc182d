"""Cut degraded photographs into crops, each a small photograph, on which a slow teacher is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lowvision.data.photographs import Photograph, Window


def drawn(photographs: Sequence[Photograph], count: int, size: int, seed: int) -> list[Photograph]:
    """Draw at most `count` crops of size x size LQ pixels that do not overlap; smaller photographs give one each.

    The first crops are the same for every count, so that a larger count keeps what was computed for a smaller one.
    """
    positions = [(n, window) for n, photograph in enumerate(photographs) for window in _windows(photograph, size)]
    order = np.random.default_rng(seed).permutation(len(positions))[:count]
    return [_crop(photographs[positions[int(i)][0]], positions[int(i)][1]) for i in order]


def centre(photograph: Photograph, size: int) -> Photograph:
    """Return the centre of a photograph, at most size x size LQ pixels, under the same name."""
    height, width = photograph.lq_size
    inner_height, inner_width = min(height, size), min(width, size)
    window = Window((height - inner_height) // 2, (width - inner_width) // 2, inner_height, inner_width)
    return replace(photograph, window=window)


def _crop(photograph: Photograph, window: Window) -> Photograph:
    name = f"{photograph.name}+{window.left}+{window.top}"
    return replace(photograph, name=name, window=window, identity=f"{photograph.identity}+{window.left}+{window.top}")


def _windows(photograph: Photograph, size: int) -> list[Window]:
    """List the windows of a grid, centred in the photograph; one if it is smaller than a crop."""
    height, width = photograph.lq_size
    if min(height, width) < size:
        return [Window(0, 0, min(height, size), min(width, size))]
    down, across = height % size // 2, width % size // 2
    tops = range(down, height - size + 1, size)
    return [Window(top, left, size, size) for top in tops for left in range(across, width - size + 1, size)]
