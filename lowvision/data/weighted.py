"""Tiles of several data sets, drawn by the share of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lowvision.data.photographs import Photograph
from lowvision.data.tiles import Coords, Pool


@dataclass(frozen=True)
class Weighted(Pool):
    """A pool that draws tiles from each part of the data with a given probability."""

    pool: Pool
    numbers: tuple[Sequence[int] | np.ndarray, ...]
    """Numbers of the tiles of each part."""
    shares: tuple[float, ...]
    """Probability of each part; they sum to 1."""

    def __len__(self) -> int:
        return len(self.pool)

    def coords(self, number: int) -> Coords:
        return self.pool.coords(number)

    def draw(self, generator: np.random.Generator) -> Coords:
        """Return a tile: first a part by its share, then one of its tiles, all equally likely."""
        numbers = self.numbers[int(generator.choice(len(self.shares), p=self.shares))]
        return self.pool.coords(int(numbers[int(generator.integers(len(numbers)))]))


def weighted(pool: Pool, photographs: Sequence[Photograph], weights: Sequence[float] | None) -> Pool:
    """Return a pool that draws the parts of a mixed data set by their weights; the pool itself without weights.

    Parts without a tile in the pool are left out.
    """
    if weights is None:
        return pool
    parts = np.array([photograph.part for photograph in photographs])
    numbers = [pool.numbers_of(np.flatnonzero(parts == part)) for part in range(len(weights))]
    used = [part for part in range(len(weights)) if len(numbers[part])]
    total = sum(weights[part] for part in used)
    return Weighted(pool, tuple(numbers[part] for part in used), tuple(weights[part] / total for part in used))
