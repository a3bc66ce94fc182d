"""Splits an image into overlapping tiles and blends tiles into an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Plan:
    """Where the tiles of an image lie: a grid that covers every pixel, whatever the size of the image."""

    height: int
    """Of the image, in pixels."""
    width: int
    """Of the image, in pixels."""
    size: int
    """Height and width of a tile."""
    tops: tuple[int, ...]
    """First row of each row of tiles."""
    lefts: tuple[int, ...]
    """First column of each column of tiles."""

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return len(self.tops) * len(self.lefts)


def plan(height: int, width: int, size: int, overlap: int) -> Plan:
    """Tiles of `size` that overlap their neighbours by `overlap`; the last of a row or column is flush with the border.

    An image smaller than a tile gets one tile, which `split` fills up. Raises ValueError for an empty image.
    """
    if height < 1 or width < 1:
        raise ValueError(f"an image of {height}x{width} has no pixels to tile")
    return Plan(height, width, size, _starts(height, size, size - overlap), _starts(width, size, size - overlap))


def split(image: Tensor, where: Plan) -> Tensor:
    """Cut image (C,H,W) into tiles (N,C,size,size), row by row; beyond the border the edge pixel is repeated."""
    missing = (0, max(where.size - where.width, 0), 0, max(where.size - where.height, 0))
    if any(missing):
        image = functional.pad(image[None], missing, mode="replicate")[0]
    tiles = [image[:, top : top + where.size, left : left + where.size] for top in where.tops for left in where.lefts]
    return torch.stack(tiles)  # (N, C, size, size)


def blend(tiles: Tensor, where: Plan, scale: int) -> Tensor:
    """Join restored tiles (N,C,s*size,s*size), in the order of `split`, into an image (C,s*H,s*W).

    Where neighbours overlap, one fades into the other linearly. Where they agree the result is exactly their value.
    """
    rows, columns = len(where.tops), len(where.lefts)
    grid = tiles.unflatten(0, (rows, columns))  # (R, K, C, s*size, s*size)
    bands = _join([grid[:, k] for k in range(columns)], [scale * left for left in where.lefts], axis=-1)
    image = _join([bands[r] for r in range(rows)], [scale * top for top in where.tops], axis=-2)
    return image[..., : scale * where.height, : scale * where.width]


def _starts(length: int, size: int, stride: int) -> tuple[int, ...]:
    if length <= size:
        return (0,)
    return (*range(0, length - size, stride), length - size)


def _join(pieces: Sequence[Tensor], starts: Sequence[int], axis: int) -> Tensor:
    """Chain pieces that begin at `starts` along `axis`, each fading in over what is already there."""
    size = pieces[0].shape[axis]
    shape = list(pieces[0].shape)
    shape[axis] = starts[-1] + size
    joined = pieces[0].new_empty(shape)
    covered = 0
    for piece, start in zip(pieces, starts, strict=True):
        seam = covered - start
        if seam > 0:
            old, new = joined.narrow(axis, start, seam), piece.narrow(axis, 0, seam)
            # a + w * (b - a) returns a exactly where a equals b; w * a + (1 - w) * b does not.
            old += _ramp(seam, axis, piece) * (new - old)
        joined.narrow(axis, covered, start + size - covered).copy_(piece.narrow(axis, seam, size - seam))
        covered = start + size
    return joined


def _ramp(length: int, axis: int, like: Tensor) -> Tensor:
    """Weights that rise from near 0 to near 1 along `axis`, symmetric in both directions."""
    ramp = (torch.arange(length, dtype=like.dtype, device=like.device) + 0.5) / length
    return ramp if axis == -1 else ramp[:, None]
