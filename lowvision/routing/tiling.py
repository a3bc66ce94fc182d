"""Plan the overlapping tiles of an image, and cut them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

Span = tuple[int, int]
"""First pixel, and one past the last pixel."""


@dataclass(frozen=True)
class Tiling:
    """The grid of tiles of an image; it covers every pixel for any image size."""

    height: int
    """Height of the image, in pixels."""
    width: int
    """Width of the image, in pixels."""
    size: int
    """Height and width of a tile."""
    overlap: int
    """Minimum overlap of neighbouring tiles, in pixels."""
    tops: tuple[int, ...]
    """First row of each row of tiles."""
    lefts: tuple[int, ...]
    """First column of each column of tiles."""

    @property
    def count(self) -> int:
        """Number of tiles."""
        return len(self.tops) * len(self.lefts)

    @cached_property
    def corners(self) -> tuple[tuple[int, int], ...]:
        """First row and column of each tile, row by row."""
        return tuple((top, left) for top in self.tops for left in self.lefts)

    @cached_property
    def seams_down(self) -> tuple[Span, ...]:
        """Pixel rows over which each row of tiles fades into the next."""
        return _seams(self.tops, self.size, self.overlap)

    @cached_property
    def seams_right(self) -> tuple[Span, ...]:
        """Pixel columns over which each column of tiles fades into the next."""
        return _seams(self.lefts, self.size, self.overlap)


def plan(height: int, width: int, size: int, overlap: int) -> Tiling:
    """Plan the fewest tiles of `size` that overlap by at least `overlap`, evenly spaced from border to border.

    An image smaller than a tile gets one tile, which extends past the border. Raises ValueError for an empty image.
    """
    if height < 1 or width < 1:
        raise ValueError(f"an image of {height}x{width} has no pixels to tile")
    stride = size - overlap
    return Tiling(height, width, size, overlap, _starts(height, size, stride), _starts(width, size, stride))


def split(image: Tensor, tiling: Tiling, first: int = 0, count: int | None = None) -> Tensor:
    """Cut tiles (N,C,size,size) out of image (C,H,W), row by row; past the border the edge pixel is repeated.

    first, count: cut `count` tiles from tile number `first` on. Default: all.
    """
    selected = tiling.corners[first : None if count is None else first + count]
    return cut_all(image, selected, tiling.size, tiling.size)


def cut_all(image: Tensor, corners: Sequence[tuple[int, int]], height: int, width: int) -> Tensor:
    """Cut (N,C,height,width) out of image (C,H,W) at N corners (top, left), like `cut`.

    A piece starts inside the image; it crosses the border only if the image is smaller than the piece.
    """
    if image.shape[1] < height or image.shape[2] < width:
        image = cut(image, 0, 0, max(height, image.shape[1]), max(width, image.shape[2]))
    if image.device.type == "cpu":
        return unit(torch.stack([image[:, top : top + height, left : left + width] for top, left in corners]))
    return unit(_gathered(image, corners, height, width))


def _gathered(image: Tensor, corners: Sequence[tuple[int, int]], height: int, width: int) -> Tensor:
    """Cut pieces that lie inside the image in few operations: an accelerator would wait for one per piece."""
    tops, lefts = torch.tensor(corners, device=image.device).unbind(1)
    pieces = image.unfold(1, height, 1).unfold(2, width, 1)  # (C, H-height+1, W-width+1, height, width), a view
    return pieces.permute(1, 2, 0, 3, 4)[tops, lefts]


def cut(image: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """Cut (C,height,width) out of image (C,H,W) and apply `unit`; past the lower and right border repeat the edge."""
    piece = unit(image[:, top : top + height, left : left + width])
    missing = (0, width - piece.shape[2], 0, height - piece.shape[1])
    return functional.pad(piece[None], missing, mode="replicate")[0] if any(missing) else piece


def up(length: int, multiple: int) -> int:
    """Round a length up to a multiple."""
    return -(-length // multiple) * multiple


def suiting(image: Tensor, multiple: int) -> Tensor:
    """Return an image (C,H,W) in [0,1] as float32, padded to multiples of `multiple` by repeating its edges."""
    height, width = image.shape[1:]
    return cut(image, 0, 0, up(height, multiple), up(width, multiple))


def unit(image: Tensor) -> Tensor:
    """Convert unsigned integers to float32 in [0,1]; floating point tensors are returned unchanged."""
    return image if image.is_floating_point() else image.float() / torch.iinfo(image.dtype).max


def _starts(length: int, size: int, stride: int) -> tuple[int, ...]:
    slack = max(0, length - size)
    steps = up(slack, stride) // stride
    return (0, *(round(n * slack / steps) for n in range(1, steps + 1)))


def _seams(starts: tuple[int, ...], size: int, overlap: int) -> tuple[Span, ...]:
    """Center a seam of width `overlap` in each overlap; narrower only if it would overlap the next seam."""
    middles = [before + size + after for before, after in pairwise(starts)]  # twice the position
    width = min([overlap, *((after - before) // 2 for before, after in pairwise(middles))])
    return tuple(((middle - width) // 2, (middle - width) // 2 + width) for middle in middles)
