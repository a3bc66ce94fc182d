"""Choose how thoroughly calibration and report measure, within their part of the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from lowvision.models.architecture import Tile

CENTRES = (512, 384, 256, 192, 128, 96)
"""Largest sides of what is calibrated and reported on, in LQ pixels; tiles fit into it without more overlap."""
POINTS = 13
"""Points of the calibrated curve: each needs only the windows that no earlier one did."""
ROUNDS, FEWEST_ROUNDS = 2, 1
"""Timed rounds of the report, and those for a teacher that is too slow for them."""
FEWEST_PHOTOGRAPHS = 3
"""Photographs of calibration and report for a teacher that is still too slow."""
TARGET_PASSES, CURVE_PASSES, ROUND_PASSES, BORDER_PASSES = 2, 4, 4.6, 2
"""How often the teacher restores each pixel that is held out: for targets, for all points of the curve together
(benchmarks/calibration.py: 2.3 to 4.1 with merged tiles), in each round of the report, and in the small windows whose
borders are measured (`lowvision/routing/window_borders.py`), if the network sees beyond a tile."""


@dataclass(frozen=True)
class Thoroughness:
    """The numbers and sizes of what calibration and report measure."""

    centre: int
    """Side of the centres of photographs, in LQ pixels."""
    rounds: int
    """Timed rounds of the report."""
    photographs: int
    """Number of photographs of the calibration, and of the report."""

    @classmethod
    def within(cls, pixels: float, held_out: int, tile: Tile) -> Self:
        """Return the most thorough calibration and report that fit into their part of the time.

        pixels: number of pixels that the teacher can restore within it. held_out: number of photographs of each.
        """
        levels = [(ROUNDS, held_out), (FEWEST_ROUNDS, held_out), (FEWEST_ROUNDS, min(FEWEST_PHOTOGRAPHS, held_out))]
        fits = [
            cls(side, rounds, count)
            for rounds, count in levels
            for side in map(tile.covering, CENTRES)
            if count * _passes(rounds, tile) * side**2 <= pixels
        ]
        return fits[0] if fits else cls(tile.covering(CENTRES[-1]), *levels[-1])


def _passes(rounds: int, tile: Tile) -> float:
    """Return how often the teacher restores each held-out pixel; `merge` is a number if it sees beyond a tile."""
    border = 0 if isinstance(tile.merge, bool) else BORDER_PASSES
    return TARGET_PASSES + CURVE_PASSES + ROUND_PASSES * rounds + border
