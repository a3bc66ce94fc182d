"""Blend restored windows into bands of an image: neighbours cross-fade linearly over their seam."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowvision.routing.regions import Window
from lowvision.routing.tiling import Span


class BandMemory:
    """The memory that the bands of an image use one after another: the system clears new memory page by page."""

    def __init__(self) -> None:
        self._memory: Tensor | None = None
        self.unfinished: Tensor | None = None
        """Last rows of the band before, to which the next band adds; may lie in this memory."""

    def zeros(self, size: tuple[int, int, int], like: Tensor) -> Tensor:
        """Return planes of a size (C,h,w) that are 0, except for their first rows: the unfinished ones.

        The planes that were returned before are overwritten.
        """
        kept = None if self.unfinished is None else self.unfinished.clone()
        if self._memory is None or self._memory.numel() < math.prod(size):
            self._memory = like.new_empty(math.prod(size))
        planes = self._memory[: math.prod(size)].view(size).zero_()
        if kept is not None:
            planes[:, : kept.shape[1]] = kept
        return planes


class Band:
    """Rows of the restored image under construction."""

    def __init__(self, pixels: Tensor, first: int, scale: int):
        """Start a band at row `first` of the LQ image.

        pixels: (C,h,s*W), zeros except for the unfinished first rows of the band above.
        """
        self._pixels, self._first, self._scale = pixels, first, scale

    def add(self, restored: Tensor, windows: Sequence[Window]) -> None:
        """Add restored windows (N,C,s*height,s*width) of one size; the tensor is modified in place.

        Few operations per batch and three per window: an accelerator waits for the host otherwise.
        """
        down = self._weights(restored.shape[2], [(w.top, w.rows, w.fades[:2]) for w in windows], restored)
        right = self._weights(restored.shape[3], [(w.left, w.columns, w.fades[2:]) for w in windows], restored)
        restored.mul_((down[:, :, None] * right[:, None, :])[:, None])  # one pass over the images
        places = [
            _view(self._pixels, int(self._pixels.storage_offset()), w, self._first, 0, self._scale) for w in windows
        ]
        start, step = int(restored.storage_offset()), restored.stride(0)
        pieces = [_view(restored[0], start + n * step, w, w.top, w.left, self._scale) for n, w in enumerate(windows)]
        torch._foreach_add_(places, pieces)

    def above(self, row: int) -> Tensor:
        """Return the pixels (C,h,s*W) above a row of the LQ image."""
        return self._pixels[:, : self._scale * (row - self._first)]

    def below(self, row: int) -> Tensor:
        """Return the pixels (C,h,s*W) from a row of the LQ image on."""
        return self._pixels[:, self._scale * (row - self._first) :]

    def _weights(self, length: int, axes: Iterable[tuple[int, Span, tuple[int, int]]], like: Tensor) -> Tensor:
        """Return the weights (N,length) along one axis of windows: start, kept span and fades in LQ pixels."""
        exact, scale = like.dtype == torch.float64, self._scale
        rows = [
            _profile(length, scale * (kept[0] - start), scale * (kept[1] - start), scale * before, scale * after, exact)
            for start, kept, (before, after) in axes
        ]
        return torch.from_numpy(np.stack(rows)).to(like.device, like.dtype)


def _view(planes: Tensor, offset: int, window: Window, top: int, left: int, scale: int) -> Tensor:
    """Return the part that a window keeps, in scaled planes (C,h,w) that begin at `top`, `left` of the image.

    One call of `as_strided` is faster than three slices.
    """
    (first_row, last_row), (first_column, last_column) = window.rows, window.columns
    size = (planes.shape[0], scale * (last_row - first_row), scale * (last_column - first_column))
    channel, row, column = planes.stride()
    return planes.as_strided(
        size, (channel, row, column), offset + scale * ((first_row - top) * row + (first_column - left) * column)
    )


@lru_cache(maxsize=1024)  # an image has thousands of windows but few shapes of them
def _profile(length: int, first: int, last: int, before: int, after: int, exact: bool) -> NDArray[np.floating]:
    """Return the weights along an axis: 1 from first to last, with linear ramps over the seams, and 0 outside.

    At a seam, one window has the ramp from near 0 to near 1 and its neighbour 1 minus that. exact: in float64.
    """
    dtype = np.float64 if exact else np.float32
    weights: NDArray[np.floating] = np.zeros(length, dtype)
    weights[first:last] = 1
    weights[first : first + before] *= _ramp(before, dtype)
    weights[last - after : last] *= dtype(1) - _ramp(after, dtype)
    return weights


def _ramp(length: int, dtype: type[np.floating]) -> NDArray[np.floating]:
    ramp: NDArray[np.floating] = (np.arange(length, dtype=dtype) + dtype(0.5)) / dtype(max(length, 1))
    return ramp
