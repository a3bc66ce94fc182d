"""Blend restored windows into bands of an image: neighbours cross-fade linearly over their seam."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from lowvision.routing.regions import Window


class Band:
    """Rows of the restored image under construction."""

    def __init__(self, pixels: Tensor, first: int, scale: int):
        """Start a band at row `first` of the LQ image.

        pixels: (C,h,s*W), zeros except for the unfinished first rows of the band above.
        """
        self._pixels, self._first, self._scale = pixels, first, scale

    def add(self, restored: Tensor, window: Window) -> None:
        """Add a restored window (C,s*height,s*width); the tensor is modified in place."""
        part = _within(restored, window, window.top, window.left, self._scale)
        above, below, before, after = (self._scale * length for length in window.fades)
        _fade_in(part, above, axis=-2)
        _fade_out(part, below, axis=-2)
        _fade_in(part, before, axis=-1)
        _fade_out(part, after, axis=-1)
        _within(self._pixels, window, self._first, 0, self._scale).add_(part)

    def above(self, row: int) -> Tensor:
        """Return the pixels (C,h,s*W) above a row of the LQ image."""
        return self._pixels[:, : self._scale * (row - self._first)]

    def below(self, row: int) -> Tensor:
        """Return the pixels (C,h,s*W) from a row of the LQ image on."""
        return self._pixels[:, self._scale * (row - self._first) :]


def _within(pixels: Tensor, window: Window, top: int, left: int, scale: int) -> Tensor:
    """Return the part that a window keeps, a view of scaled pixels (C,h,w) that begin at `top`, `left` of the image."""
    (first_row, last_row), (first_column, last_column) = window.rows, window.columns
    rows = slice(scale * (first_row - top), scale * (last_row - top))
    return pixels[:, rows, scale * (first_column - left) : scale * (last_column - left)]


def _fade_in(part: Tensor, length: int, axis: int) -> None:
    if length:
        part.narrow(axis, 0, length).mul_(_ramp(length, axis, part.dtype, part.device))


def _fade_out(part: Tensor, length: int, axis: int) -> None:
    if length:
        start = part.shape[axis] - length
        part.narrow(axis, start, length).mul_(1 - _ramp(length, axis, part.dtype, part.device))


@lru_cache(maxsize=64)  # an image has hundreds of seams but few lengths
def _ramp(length: int, axis: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return weights that rise linearly from near 0 to near 1 along `axis`; 1 - ramp is the ramp reversed."""
    ramp = (torch.arange(length, dtype=dtype, device=device) + 0.5) / length
    return ramp if axis == -1 else ramp[:, None]
