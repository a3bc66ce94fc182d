"""Scale values to an axis and choose its tick marks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic range of values."""

    low: float
    high: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return the position of a value on the axis: 0 at the low end, 1 at the high end, clamped to 0..1."""
        low, high, position = (self._scaled(v) for v in (self.low, self.high, value))
        return min(max((position - low) / (high - low), 0.0), 1.0)

    def marks(self, about: int = 4) -> list[float]:
        """Return about `about` round values between the ends."""
        if self.logarithmic and self.high / self.low >= 4:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1,) if self.high / self.low > 200 else (1, 2, 5)
            marks = [step * 10.0**power for power in powers for step in steps]
            marks = marks[:: max(1, sum(self.low <= mark <= self.high for mark in marks) // (about + 1))]
        else:
            step = _round_step((self.high - self.low) / about)
            first = math.ceil(self.low / step - 1e-9)
            marks = [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]
        return [mark for mark in marks if self.low <= mark * (1 + 1e-9) and mark <= self.high * (1 + 1e-9)]

    def _scaled(self, value: float) -> float:
        return math.log(max(value, self.low)) if self.logarithmic else value


def fitted(values: Sequence[float], logarithmic: bool = False) -> Axis:
    """Return an axis that holds all values with a margin; a logarithmic one spans at most four decades."""
    low, high = min(values), max(values)
    if logarithmic:
        low = max(low, high / 1e4)  # a loss near zero would flatten all others
        margin = max(high / low, 1.2) ** 0.06
        return Axis(low / margin, high * margin, True)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return Axis(low - margin, high + margin)


def _round_step(step: float) -> float:
    """Return the nearest of 1, 2, 5 and 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return min((1, 2, 5, 10), key=lambda digit: abs(digit * power - step)) * power
