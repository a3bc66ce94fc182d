"""Plans the overlapping tiles of an image, and cuts them out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

Span = tuple[int, int]
"""First pixel, and the pixel after the last."""


@dataclass(frozen=True)
class Plan:
    """Where the tiles of an image lie: a grid that covers every pixel, whatever the size of the image."""

    height: int
    """Of the image, in pixels."""
    width: int
    """Of the image, in pixels."""
    size: int
    """Height and width of a tile."""
    overlap: int
    """By how much neighbours overlap, at least."""
    tops: tuple[int, ...]
    """First row of each row of tiles."""
    lefts: tuple[int, ...]
    """First column of each column of tiles."""

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return len(self.tops) * len(self.lefts)

    @cached_property
    def seams_down(self) -> tuple[Span, ...]:
        """The rows in which each row of tiles fades into the next."""
        return _seams(self.tops, self.size, self.overlap)

    @cached_property
    def seams_right(self) -> tuple[Span, ...]:
        """The columns in which each column of tiles fades into the next."""
        return _seams(self.lefts, self.size, self.overlap)


def plan(height: int, width: int, size: int, overlap: int) -> Plan:
    """As few tiles of `size` as overlap their neighbours by `overlap` at least, evenly spread from border to border.

    An image smaller than a tile gets one tile, which reaches over the border. Raises ValueError for an empty image.
    """
    if height < 1 or width < 1:
        raise ValueError(f"an image of {height}x{width} has no pixels to tile")
    stride = size - overlap
    return Plan(height, width, size, overlap, _starts(height, size, stride), _starts(width, size, stride))


def split(image: Tensor, where: Plan, first: int = 0, count: int | None = None) -> Tensor:
    """Cut tiles (N,C,size,size) out of image (C,H,W), row by row; beyond the border the edge pixel is repeated.

    first, count: only so many tiles, from that one on.
    """
    coords_list = [(top, left) for top in where.tops for left in where.lefts]
    some = coords_list[first : None if count is None else first + count]
    return torch.stack([cut(image, top, left, where.size, where.size) for top, left in some])


def cut(image: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """A piece (C,height,width) of image (C,H,W), see `unit`; beyond its lower and right border the edge is repeated."""
    piece = unit(image[:, top : top + height, left : left + width])
    missing = (0, width - piece.shape[2], 0, height - piece.shape[1])
    return functional.pad(piece[None], missing, mode="replicate")[0] if any(missing) else piece


def up(length: int, multiple: int) -> int:
    """The least multiple that is no less than the length."""
    return -(-length // multiple) * multiple


def suiting(image: Tensor, multiple: int) -> Tensor:
    """The whole image (C,H,W), see `unit`, its edges repeated until each side is a multiple."""
    height, width = image.shape[1:]
    return cut(image, 0, 0, up(height, multiple), up(width, multiple))


def unit(image: Tensor) -> Tensor:
    """Floating numbers as they are; unsigned integers as their share of their whole range, in float32."""
    return image if image.is_floating_point() else image.float() / torch.iinfo(image.dtype).max


def _starts(length: int, size: int, stride: int) -> tuple[int, ...]:
    room = max(0, length - size)
    steps = up(room, stride) // stride
    return (0, *(round(n * room / steps) for n in range(1, steps + 1)))


def _seams(starts: tuple[int, ...], size: int, overlap: int) -> tuple[Span, ...]:
    """In the middle of overlaps, and as wide as asked; narrower only where one would be in the next one's way."""
    middles = [before + size + after for before, after in pairwise(starts)]  # twice the place
    width = min([overlap, *((after - before) // 2 for before, after in pairwise(middles))])
    return tuple(((middle - width) // 2, (middle - width) // 2 + width) for middle in middles)
