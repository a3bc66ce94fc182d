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

NARROW = (32, 4)
"""Size and overlap for a small receptive field: neighbours are merged, so that small tiles cost little."""
WIDE = ((64, 4), (96, 8), (128, 16))
"""Sizes and overlaps for a receptive field that is larger than a tile, or unlimited; the smallest sufficient one is
chosen. RRDB (radius 349) needs the largest: docs/accelerate.md, "Measure networks of other people"."""
WIDE_REACH = 64
"""Radius of the receptive field from which tiles are wide."""
MEASURED_PHOTOGRAPHS = 2
BUDGET_OF_TILES = 0.5
"""Part of the squared error at the requested loss that tiles alone may cause; the rest is left to the students."""

Run = Callable[[Tensor, str], Tensor]
"""The network on a named image, (C,h,w) -> (C,s*h,s*w)."""


def smallest(teacher: Architecture) -> Tile:
    """Return the tile for a network by its receptive field alone."""
    reach = teacher.branches[-1].reach(teacher.task)
    size, overlap = NARROW if reach is not None and reach < WIDE_REACH else WIDE[0]
    return _tile(teacher, size, overlap)


def sufficient(
    teacher: Architecture, photographs: Sequence[Photograph], max_loss: float, run: Run, say: Callable[[str], None]
) -> Tile:
    """Return the smallest tile on which a network gives nearly what it gives on the whole image.

    Only networks whose receptive field is limited and wide are measured: with a small one tiles differ at their borders
    alone, and one without a limit is compared to its own tiles. Tiles are at most half as large as the photographs.
    """
    reach = teacher.branches[-1].reach(teacher.task)
    if reach is None or reach < WIDE_REACH:
        return smallest(teacher)
    sides = [min(photograph.lq_size) for photograph in photographs]
    most = statistics.median(sides) / 2 if sides else 0
    first, *larger = (_tile(teacher, size, overlap) for size, overlap in WIDE)
    *measured, largest = [first, *(tile for tile in larger if tile.size <= most)]
    needed = _needed(max_loss)
    for tile in measured:
        reached = _fidelity(teacher, tile, photographs, run)
        say(f"tiles of {tile.size} pixels: {reached:.1f} dB to the network on the whole image, needed are {needed:.1f}")
        if reached >= needed:
            return tile
    return largest


def _needed(max_loss: float) -> float:
    """Return the PSNR to the whole image in dB that tiles need."""
    error = BUDGET_OF_TILES * TEACHER_ERROR * (10 ** (max_loss / 10) - 1)
    return -10 * math.log10(error) if error else math.inf


def _tile(teacher: Architecture, size: int, overlap: int) -> Tile:
    backbone = teacher.branches[-1]
    is_unlimited = backbone.reach(teacher.task) is None
    return Tile(size=up(size, backbone.multiple_of), overlap=overlap, merge=is_unlimited)


def _fidelity(teacher: Architecture, tile: Tile, photographs: Sequence[Photograph], run: Run) -> float:
    """Return the PSNR of tiles to the whole image in dB: a mean over squares of 2x2 tiles from a few photographs.

    A tile of such a square has two neighbours, one inside a large image four: its squared error counts twice.
    """
    side = 2 * tile.size - tile.overlap
    psnrs = []
    for photograph in [p for p in photographs if min(p.lq_size) >= side][:MEASURED_PHOTOGRAPHS]:
        image = _centre(photograph, side)
        whole, tiled = run(image, photograph.name), _tiled(teacher, tile, image, photograph.name, run)
        psnrs.append(float(metrics.psnr(tiled.clamp(0, 1)[None], whole.clamp(0, 1)[None])))
    return statistics.mean(psnrs) - 10 * math.log10(2)


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
