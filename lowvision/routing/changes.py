"""Find the parts of a frame that changed since the frames before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Still = Literal["exact", "visually", "off"]
"""Criterion of an unchanged part of a frame: all values are equal; they differ at most by decoder noise; or never."""

BLOCK = 8
"""Side of the blocks that `visually` compares; video codecs code their differences in such blocks."""
MEAN_NOISE = 1.0 / 255
"""Largest mean difference of a block that is noise: rounding moves values by one level of 8 bits."""
PEAK_NOISE = 6.0 / 255
"""Largest difference of a value of such a block: a thin moving line has a small mean."""
CUT = 20.0 / 255
"""Smallest mean difference of blocks at a scene cut."""
CUT_RATIO = 3.0
"""Smallest ratio of that difference to the one of the frame before: fast motion has many large differences."""


class Changes:
    """Compares each frame with the one that its unchanged parts were restored from.

    With `visually`, the reference of a block stays the frame in which it last changed, so that a slow fade is noticed
    as soon as it leaves the noise.
    """

    def __init__(self, still: Still):
        self._block = 1 if still == "exact" else BLOCK
        self._reference: NDArray[Any] | None = None
        self._counts: NDArray[np.int64] = np.zeros((1, 1), np.int64)  # changed blocks above and to the left
        self._difference = 0.0
        self.is_cut = False
        """The last frame begins a scene."""

    def see(self, pixels: NDArray[Any]) -> None:
        """Compare a frame (H,W,C), uint8 or uint16, with the frames before it."""
        before = self._reference
        if before is None or before.shape != pixels.shape or before.dtype != pixels.dtype:
            self._reference, self.is_cut, self._difference = pixels.copy(), False, 0.0
            self._count(np.ones([-(-side // self._block) for side in pixels.shape[:2]], bool))
            return
        distance = _distance(pixels, before)
        self._find_cut(distance, np.iinfo(pixels.dtype).max)
        changed = self._changed(distance, np.iinfo(pixels.dtype).max)
        if self.is_cut:
            changed[:] = True
        self._count(changed)
        where = changed if self._block == 1 else _enlarged(changed, pixels.shape)
        np.copyto(before, pixels, where=where[:, :, None])

    @property
    def is_still(self) -> bool:
        """True if no part of the last frame changed."""
        return not self._counts[-1, -1]

    def within(self, tops: Any, lefts: Any, heights: Any, widths: Any) -> NDArray[np.bool_]:
        """Return for rectangles, in pixels, whether anything changed in them; they may cross the border."""
        last = np.array(self._counts.shape) - 1
        top, left = np.asarray(tops) // self._block, np.asarray(lefts) // self._block
        bottom = np.minimum(-(-(np.asarray(tops) + heights) // self._block), last[0])
        right = np.minimum(-(-(np.asarray(lefts) + widths) // self._block), last[1])
        counts = self._counts
        inside = counts[bottom, right] - counts[top, right] - counts[bottom, left] + counts[top, left]
        return np.asarray(inside > 0)

    def tiles(self, corners: Sequence[tuple[int, int]], size: int) -> NDArray[np.bool_]:
        """Return for tiles whether anything changed in them."""
        tops, lefts = np.array(corners).T
        return self.within(tops, lefts, size, size)

    def _count(self, changed: NDArray[np.bool_]) -> None:
        self._counts = np.pad(changed.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))

    def _changed(self, distance: NDArray[Any], white: int) -> NDArray[np.bool_]:
        if self._block == 1:
            return np.asarray(distance.any(axis=2))
        mean, peak = _of_blocks(distance, np.add) / BLOCK**2, _of_blocks(distance, np.maximum)
        return np.asarray(((mean > MEAN_NOISE * white) | (peak > PEAK_NOISE * white)).any(axis=2))

    def _find_cut(self, distance: NDArray[Any], white: int) -> None:
        """A scene cut changes most of the frame, and much more than the motion before it."""
        difference = float(distance[::4, ::4].mean()) / white
        self.is_cut = difference > max(CUT, CUT_RATIO * self._difference)
        self._difference = difference


def _distance(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return the absolute difference without leaving the unsigned type."""
    return np.asarray(np.maximum(a, b) - np.minimum(a, b))


def _of_blocks(values: NDArray[Any], operation: np.ufunc) -> NDArray[Any]:
    """Reduce (H,W,C) over blocks; those at the lower and right border may be smaller."""
    rows, columns = (np.arange(0, side, BLOCK) for side in values.shape[:2])
    dtype = np.uint32 if operation is np.add else values.dtype
    return np.asarray(
        operation.reduceat(operation.reduceat(values, rows, axis=0, dtype=dtype), columns, axis=1, dtype=dtype)
    )


def _enlarged(blocks: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the mask of pixels of a mask of blocks."""
    return blocks.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)[: shape[0], : shape[1]]
