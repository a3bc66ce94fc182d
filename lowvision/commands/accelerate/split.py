"""Divide a folder of photographs into those to learn from, to calibrate on, and to report on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lowvision.errors import DataError

FEWEST = 3
"""Photographs: one to learn from, one to calibrate on, one to report on."""
MOST_TRAIN = 100
MOST_HELD_OUT = 8
"""Largest numbers of photographs that are used; a network is imitated as well with more, but they take time."""
PART = 6
"""Photographs per group: one of each group calibrates, another one reports."""


@dataclass(frozen=True)
class Split:
    """Names of the photographs of each data set."""

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]

    def held_out(self, count: int) -> Split:
        """Return the split with at most `count` photographs to calibrate on, and to report on."""
        return Split(self.train, self.valid[:count], self.test[:count])


def split(names: Sequence[str], seed: int = 0) -> Split:
    """Divide the names at random. Raises DataError if there are fewer than three."""
    if len(names) < FEWEST:
        raise DataError(
            f"--photos: {len(names)} usable photographs; give at least {FEWEST}: to learn from, to calibrate on, "
            "and to report on"
        )
    order = [sorted(names)[int(n)] for n in np.random.default_rng(seed).permutation(len(names))]
    held_out = max(1, min(MOST_HELD_OUT, len(names) // PART))
    valid, test, train = order[:held_out], order[held_out : 2 * held_out], order[2 * held_out :]
    return Split(*(tuple(sorted(part)) for part in (train[:MOST_TRAIN], valid, test)))
