"""Choose the tiles for a network: small ones route finely, but each pixel must see enough of its surroundings."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lowvision.data import crops
from lowvision.data.photographs import Photograph
from lowvision.imaging import io, metrics
from lowvision.models.architecture import Architecture, Tile
from lowvision.models.calibration import TEACHER_ERROR
from lowvision.routing.engine import Engine
from lowvision.routing.networks import Networks
from lowvision.routing.tiling import up

NARROW = Tile(size=32, overlap=4)
"""Tiles for a small receptive field: neighbours are merged, so that small tiles cost little."""
WIDE_SIZE, WIDE_MERGE = 64, 8
"""Size of tiles for a large receptive field, and how many rows and columns of them are merged, even for a network that
needs much memory: the larger a window, the less of it lacks context."""
OVERLAPS = (4, 8)
"""Overlaps that may suffice for a receptive field that is larger than a tile but limited, in ascending order."""
WIDEST = Tile(size=WIDE_SIZE, overlap=16, halo=8, merge=WIDE_MERGE)
"""Tiles if none of them does, as for RRDB (radius 349)."""
WIDE_REACH = 64
"""Radius of the receptive field from which tiles are wide."""
COMPARED_ON = 2
"""Photographs on which the overlaps are compared: such networks are often slow."""
BUDGET_OF_TILES = 0.5
"""Part of the squared error at the requested loss that tiles alone may cause; the rest is left to the students."""

Run = Callable[[Tensor, str], Tensor]
"""The network on a named image, (C,h,w) -> (C,s*h,s*w)."""


def sufficient(
    teacher: Architecture, photographs: Sequence[Photograph], max_loss: float, run: Run, say: Callable[[str], None]
) -> Tile:
    """Return tiles on which a network gives nearly what it gives on the whole image.

    With a small receptive field tiles differ at their borders alone: nothing is measured. With a larger but limited one
    they overlap as far as necessary. Tiles of a network that sees its whole input overlap little, since no overlap is
    certain to suffice. Calibration measures what remains at the borders of windows, and routing takes it into account.
    """
    reach = teacher.branches[-1].reach(teacher.task)
    if reach is None:
        return _suiting(teacher, _wide(OVERLAPS[0]))
    if reach < WIDE_REACH:
        return _suiting(teacher, NARROW)
    needed = _needed(max_loss)
    for tile in (_suiting(teacher, _wide(overlap)) for overlap in OVERLAPS):
        reached = _fidelity(teacher, tile, photographs, run)
        say(
            f"tiles of {tile.size} pixels, overlap {tile.overlap}: {reached:.1f} dB to the network on the whole image, "
            f"needed are {needed:.1f}"
        )
        if reached >= needed:
            return tile
    return _suiting(teacher, WIDEST)


def _needed(max_loss: float) -> float:
    """Return the PSNR to the whole image in dB that tiles need."""
    error = BUDGET_OF_TILES * TEACHER_ERROR * (10 ** (max_loss / 10) - 1)
    return -10 * math.log10(error) if error else math.inf


def _wide(overlap: int) -> Tile:
    return Tile(size=WIDE_SIZE, overlap=overlap, merge=WIDE_MERGE)


def _suiting(teacher: Architecture, tile: Tile) -> Tile:
    """Return the tile with a size that suits a network."""
    return tile.replace(size=up(tile.size, teacher.branches[-1].multiple_of))


def _fidelity(teacher: Architecture, tile: Tile, photographs: Sequence[Photograph], run: Run) -> float:
    """Return the PSNR of tiles to the whole image in dB: the median of squares of 2x2 tiles.

    Infinite without a photograph that is large enough. A mean would follow single photographs of the sky, on which
    tiles differ by 20 dB less. A tile of such a square has two neighbours, one inside a large image four: its squared
    error counts twice.
    """
    side = 2 * tile.size - tile.overlap
    psnrs = []
    for photograph in [p for p in photographs if min(p.lq_size) >= side][:COMPARED_ON]:
        image = _centre(photograph, side)
        whole, tiled = run(image, photograph.name), _tiled(teacher, tile, image, photograph.name, run)
        psnrs.append(float(metrics.psnr(tiled.clamp(0, 1)[None], whole.clamp(0, 1)[None])))
    return statistics.median(psnrs) - 10 * math.log10(2) if psnrs else math.inf


def _centre(photograph: Photograph, side: int) -> Tensor:
    centre = crops.centre(photograph, side)
    assert centre.lq is not None
    return io.to_tensor(centre.lq)


def _tiled(teacher: Architecture, tile: Tile, image: Tensor, name: str, run: Run) -> Tensor:
    """Restore an image by the network on every tile."""

    def branch(tiles: Tensor) -> Tensor:
        return torch.stack([run(each, name) for each in tiles])

    alone = Networks(classify=branch, branches=(branch,), costs=lambda _: (1,), classifier_cost=lambda _: 0)
    return Engine(alone, teacher.task.scale, tile.size, tile.overlap).restore(image, 0).image
