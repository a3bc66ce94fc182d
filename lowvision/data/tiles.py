"""Tiles of photographs: their positions, cutting, and the samples of each training step."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils import data

from lowvision.data.augment import Augment
from lowvision.data.photographs import Photograph
from lowvision.data.undegraded import Undegraded, without_margin
from lowvision.errors import DataError
from lowvision.imaging import io
from lowvision.plugins.contracts import Task

Coords = tuple[int, int, int]
"""Index of a photograph; top and left of a tile in LQ pixels."""


class Pool(ABC):
    """A numbered set of tile positions."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def coords(self, number: int) -> Coords: ...

    def draw(self, generator: np.random.Generator) -> Coords:
        """Return one of the positions, all equally likely."""
        return self.coords(int(generator.integers(len(self))))

    def numbers_of(self, photographs: np.ndarray) -> Sequence[int] | np.ndarray:
        """Return the numbers of the positions in some photographs, given by their indices."""
        return np.flatnonzero([self.coords(number)[0] in photographs for number in range(len(self))])


class Grid(Pool):
    """All tiles of a grid over photographs; at stride 1, all possible tiles."""

    def __init__(self, photographs: Sequence[Photograph], size: int, stride: int):
        self._shapes = [_grid_shape(photograph, size, stride) for photograph in photographs]
        self._ends = np.cumsum([rows * columns for rows, columns in self._shapes])
        self._stride = stride
        if not len(self):
            raise DataError(
                f"no photograph is as large as a tile of {size} LQ pixels; use larger ones or smaller tiles"
            )

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def numbers_of(self, photographs: np.ndarray) -> Sequence[int] | np.ndarray:
        """Return the numbers of the positions in consecutive photographs."""
        if not len(photographs):
            return ()
        first, last = int(photographs[0]), int(photographs[-1])
        return range(int(self._ends[first - 1]) if first else 0, int(self._ends[last]))

    def coords(self, number: int) -> Coords:
        photograph = int(np.searchsorted(self._ends, number, side="right"))
        inside = number - (int(self._ends[photograph - 1]) if photograph else 0)
        row, column = divmod(inside, self._shapes[photograph][1])
        return photograph, row * self._stride, column * self._stride


@dataclass(frozen=True)
class Listed(Pool):
    """Tiles at listed positions (N,3), each as in `Coords`."""

    coords_list: np.ndarray

    def __len__(self) -> int:
        return len(self.coords_list)

    def coords(self, number: int) -> Coords:
        photograph, top, left = self.coords_list[number].tolist()
        return photograph, top, left


def too_small(photographs: Sequence[Photograph], size: int) -> list[str]:
    """Return the names of the photographs that are smaller than a tile."""
    return [photograph.name for photograph in photographs if min(photograph.lq_size) < size]


@dataclass(frozen=True)
class TileExtractor:
    """Cuts pairs of lq and gt tiles out of photographs."""

    photographs: tuple[Photograph, ...]
    task: Task
    size: int
    """Height and width of a tile, in LQ pixels."""

    def fixed(self, coords: Coords, seed: int) -> tuple[Tensor, Tensor]:
        """Return lq (C,size,size) and gt (C,s*size,s*size) in [0,1]; random degradations are drawn from `seed`."""
        lq, gt = self._cut(coords)
        return self._pair(lq, gt, seed)

    def augmented(self, coords: Coords, augment: Augment, seed: int) -> tuple[Tensor, Tensor]:
        """Return an augmented tile as `fixed` does; augmentation and degradation are drawn from `seed`."""
        lq, gt = self._cut(coords)
        augmented_lq, augmented_gt = augment(gt if lq is None else lq, gt, seed)
        return self._pair(None if lq is None else augmented_lq, augmented_gt, seed)

    def undegraded(self, coords: Coords, augment: Augment, seed: int) -> Undegraded:
        """Return the augmented clean tile of `augmented` and the seed of its random degradation."""
        _, gt = self._cut(coords)
        return Undegraded(io.to_tensor(augment(gt, gt, seed)[1]), torch.tensor(seed))

    def detail(self, coords: Coords) -> float:
        """Return the detail of a tile: the mean absolute difference of neighbouring rows and columns.

        It is measured on lq; on gt if lq is random.
        """
        lq, gt = self._cut(coords)
        values = gt if lq is None else lq
        values = values.astype(np.int32) if values.dtype.kind == "u" else values
        return float(np.abs(np.diff(values, axis=0)).mean() + np.abs(np.diff(values, axis=1)).mean())

    def _cut(self, coords: Coords) -> tuple[np.ndarray | None, np.ndarray]:
        """Return the tile of lq and gt; if lq is random, None and gt with the margin of the task around it."""
        number, top, left = coords
        photograph, s = self.photographs[number], self.task.scale
        lq = photograph.lq
        if lq is None:
            margin = self.task.margin
            return None, _window(photograph.gt, s * (top - margin), s * (left - margin), s * (self.size + 2 * margin))
        gt = _window(photograph.gt, s * top, s * left, s * self.size)
        return _window(lq, top, left, self.size), gt

    def _pair(self, lq: np.ndarray | None, gt: np.ndarray, seed: int) -> tuple[Tensor, Tensor]:
        clean = io.to_tensor(gt)
        if lq is not None:
            return io.to_tensor(lq), clean
        degraded = self.task.degrade(clean, torch.Generator().manual_seed(seed))
        margin = self.task.margin
        return without_margin(degraded, margin), without_margin(clean, margin * self.task.scale)


@dataclass(frozen=True)
class Samples(data.Dataset[tuple[Tensor, Tensor]]):
    """An endless sequence of augmented tiles; sample n depends only on (seed, purpose, n).

    Therefore the tiles and their order are independent of the number of processes and workers, and of resuming.
    """

    extractor: TileExtractor
    pool: Pool
    augment: Augment
    seed: int
    purpose: str
    """Name of the use, e.g. `base`, so that stages draw different samples."""
    candidates: int = 1
    """Tiles drawn per sample, of which the one with the most detail is used."""
    defers: bool = False
    """True: random degradations are left to the device that trains; samples are `Undegraded`."""

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        draw = np.random.default_rng((self.seed, zlib.crc32(self.purpose.encode()), number))
        coords_list = [self.pool.draw(draw) for _ in range(self.candidates)]
        coords = coords_list[0] if self.candidates == 1 else max(coords_list, key=self.extractor.detail)
        cut = self.extractor.undegraded if self.defers else self.extractor.augmented
        return cut(coords, self.augment, int(draw.integers(2**31)))


@dataclass(frozen=True)
class Mixed(data.Dataset[tuple[Tensor, Tensor]]):
    """Two sequences evenly interleaved, so that all batches hold the same fraction of each."""

    own: Samples
    others: Samples
    share: float
    """Fraction of `own`, 0..1."""

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        is_own = int((number + 1) * self.share) > int(number * self.share)
        return (self.own if is_own else self.others)[number]


@dataclass(frozen=True)
class Successive(data.Dataset[tuple[Tensor, Tensor]]):
    """Sequences of tiles of different sizes, each for an equal part of the steps; a step has tiles of one size."""

    parts: tuple[data.Dataset[tuple[Tensor, Tensor]], ...]
    steps: int
    batch: int

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        step = min(number // self.batch, self.steps - 1)
        return self.parts[step * len(self.parts) // self.steps][number]


@dataclass(frozen=True)
class Ranked(data.Dataset[tuple[Tensor, Tensor]]):
    """Tiles with their class: the classes take turns."""

    of_class: tuple[Samples, ...]

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        """Return lq (C,h,w) and the index of its class, a scalar tensor."""
        turn, k = divmod(number, len(self.of_class))
        lq, _ = self.of_class[k][turn]
        return lq, torch.tensor(k)


@dataclass(frozen=True)
class DistributedBatchSampler(data.Sampler[list[int]]):
    """Yields, per step, the numbers of the samples of one process."""

    first_step: int
    steps: int
    batch: int
    """Batch size over all processes."""
    process: int
    processes: int

    def __iter__(self) -> Iterator[list[int]]:
        share = self.batch // self.processes
        for step in range(self.first_step, self.steps):
            start = step * self.batch + self.process * share
            yield list(range(start, start + share))

    def __len__(self) -> int:
        return self.steps - self.first_step


def fixed_tiles(extractor: TileExtractor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw at most `count` tiles that do not overlap: lq (N,C,size,size), gt (N,C,s*size,s*size)."""
    grid = Grid(extractor.photographs, extractor.size, extractor.size)
    numbers = np.random.default_rng(seed).permutation(len(grid))[:count]
    pairs = [extractor.fixed(grid.coords(int(number)), seed + n) for n, number in enumerate(numbers)]
    lq, gt = zip(*pairs, strict=True)
    return torch.stack(lq), torch.stack(gt)


def _window(pixels: np.ndarray, top: int, left: int, size: int) -> np.ndarray:
    """Return the square (size,size,C) of an image (H,W,C); beyond the image its edge pixels are replicated."""
    height, width = pixels.shape[:2]
    inside = pixels[max(top, 0) : top + size, max(left, 0) : left + size]
    missing = [(max(-start, 0), max(start + size - end, 0)) for start, end in ((top, height), (left, width))]
    return np.pad(inside, [*missing, (0, 0)], mode="edge") if any(map(any, missing)) else inside


def _grid_shape(photograph: Photograph, size: int, stride: int) -> tuple[int, int]:
    height, width = photograph.lq_size
    if min(height, width) < size:
        return 0, 0
    return (height - size) // stride + 1, (width - size) // stride + 1
