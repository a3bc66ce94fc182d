"""The largest number of pixels that may be decoded: a small file may declare a huge image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lowvision.errors import DataError

MOST_PIXELS = 2**30
"""Pixels that are decoded if the caller gives no limit; OpenCV's own limit is the same."""


@dataclass
class Limit:
    """Counts the pixels of a file, over all its frames."""

    largest: float | None = None
    """Largest number of pixels; None: `MOST_PIXELS`."""
    images: int = 0
    pixels: int = 0

    def add(self, path: Path, width: int, height: int) -> None:
        """Count one more image of a file, before it is decoded. Raises DataError above the limit."""
        largest = MOST_PIXELS if self.largest is None else self.largest
        self.images += 1
        self.pixels += width * height
        if self.pixels > largest:
            several = f" in {self.images} frames" if self.images > 1 else ""
            way_out = "raise it (--max-megapixels) if you trust the file"
            raise DataError(
                f"{path}: its header declares {width}x{height} pixels{several}, the limit is {largest / 1e6:g} "
                f"million; {way_out}{' or take --frames first' if several else ''}"
            )
