"""The requested size of a result: a factor, a width, a height, or a number of megapixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lowvision.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class TargetSize:
    """At most one kind of size; width and height together are a box that the result fits into."""

    scale: float | None = None
    """Factor between the input and the result."""
    width: int | None = None
    height: int | None = None
    megapixels: float | None = None

    def __post_init__(self) -> None:
        kinds = [self.scale is not None, self.megapixels is not None, (self.width or self.height) is not None]
        if sum(kinds) > 1:
            raise UsageError("--scale, --megapixels, and --width or --height exclude each other; give one of them")
        if any(value is not None and not 0 < value < math.inf for value in vars(self).values()):
            raise UsageError("--scale, --width, --height and --megapixels must be positive")

    def of(self, height: int, width: int, default_scale: float) -> tuple[int, int]:
        """Return height and width of the result of an input; without a size, `default_scale` times as large."""
        if self.megapixels is not None:
            factor = math.sqrt(self.megapixels * 1e6 / (height * width))
        elif self.width is not None or self.height is not None:
            factor = min(
                self.width / width if self.width is not None else math.inf,
                self.height / height if self.height is not None else math.inf,
            )
        else:
            factor = default_scale if self.scale is None else self.scale
        return max(round(height * factor), 1), max(round(width * factor), 1)
