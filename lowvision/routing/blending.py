"""Blend restored windows into bands of an image: neighbours cross-fade linearly over their seam."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowvision.routing.regions import Window

Seams = tuple[int, int, tuple[int, int, int, int]]
"""Rows and columns that a window keeps, in pixels of the image, and its fades."""
KEPT = 2**16
"""Most weights of a window that are kept for others: small windows are many, large ones would take much memory."""


class SeamWeights:
    """The weights of windows that fade over their seams; those of small windows are kept."""

    def __init__(self, scale: int):
        self._scale = scale
        self._small: dict[Seams, Tensor] = {}

    def of(self, seams: Seams, like: Tensor) -> Tensor:
        """Return the weights (s*rows,s*columns) of the part that a window keeps."""
        if seams in self._small:
            return self._small[seams]
        rows, columns, fades = seams
        down, right = (
            # The dtype first: some accelerators lack float64.
            torch.from_numpy(_profile(*(self._scale * pixels for pixels in axis))).to(like.dtype).to(like.device)
            for axis in ((rows, *fades[:2]), (columns, *fades[2:]))
        )
        weights = down[:, None] * right
        if weights.numel() <= KEPT:
            self._small[seams] = weights
        return weights


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

    def __init__(self, pixels: Tensor, first: int, scale: int, weights: SeamWeights):
        """Start a band at row `first` of the LQ image.

        pixels: (C,h,s*W), zeros except for the unfinished first rows of the band above. weights: of the whole image.
        """
        self._pixels, self._first, self._scale, self._weights = pixels, first, scale, weights

    def add(self, restored: Tensor, windows: Sequence[Window]) -> None:
        """Add restored windows (N,C,s*height,s*width) of one size, multiplied by their weights.

        One operation per window reads and writes each pixel once; most windows of a batch share their weights.
        """
        weights = {seams: self._weights.of(seams, restored) for seams in {_seams(each) for each in windows}}
        offset = int(self._pixels.storage_offset())
        start, step = int(restored.storage_offset()), restored.stride(0)
        for n, each in enumerate(windows):
            place = _view(self._pixels, offset, each, self._first, 0, self._scale)
            piece = _view(restored[0], start + n * step, each, each.top, each.left, self._scale)
            place.addcmul_(piece, weights[_seams(each)])

    def above(self, row: int) -> Tensor:
        """Return the pixels (C,h,s*W) above a row of the LQ image."""
        return self._pixels[:, : self._scale * (row - self._first)]

    def below(self, row: int) -> Tensor:
        """Return the pixels (C,h,s*W) from a row of the LQ image on."""
        return self._pixels[:, self._scale * (row - self._first) :]


def _seams(window: Window) -> Seams:
    """Return what the weights of a window depend on: rows and columns that it keeps, and its fades."""
    (top, bottom), (left, right) = window.rows, window.columns
    return bottom - top, right - left, window.fades


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
def _profile(length: int, before: int, after: int) -> NDArray[np.float64]:
    """Return the weights along an axis: 1 with linear ramps over the seams before and after.

    At a seam, one window has the ramp from near 0 to near 1 and its neighbour 1 minus that.
    """
    weights = np.ones(length)
    weights[:before] *= _ramp(before)
    weights[length - after :] *= 1 - _ramp(after)
    return weights


def _ramp(length: int) -> NDArray[np.float64]:
    return (np.arange(length) + 0.5) / max(length, 1)
