"""Limits of the pixels that are decoded: a small file may declare a huge image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lowvision.errors import DataError
from lowvision.imaging.formats import BMP, GIF, PNG, PNM, ImageFormat

MOST_PIXELS = 2**30
"""Pixels that are decoded if the caller gives no limit; OpenCV's own limit is the same."""

PIXELS_PER_BYTE: Mapping[ImageFormat, int] = {BMP: 8, PNM: 8, PNG: 8 * 1032, GIF: 4096}
"""Most pixels that a byte of a file can hold, for formats that have a limit: pixels of one bit; zlib shrinks data by at
most 1032 (its technical details), and no code of GIF is longer than 4096 pixels."""
RUN_LENGTHS = (1, 2)
"""Compressions of BMP that have no limit."""


def check_length(path: Path, content: bytes, image_format: ImageFormat, width: int, height: int) -> None:
    """Raise DataError if a file is too short for its width and height; a decoder would allocate the pixels first."""
    most = PIXELS_PER_BYTE.get(image_format)
    if image_format is BMP and int.from_bytes(content[30:34], "little") in RUN_LENGTHS:
        most = None
    if most is not None and width * height > most * len(content):
        raise DataError(
            f"{path}: its header declares {width}x{height} pixels, for which {len(content)} bytes are too few; copy it "
            "again"
        )


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
