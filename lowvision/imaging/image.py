"""An image in memory: its pixels, and the metadata of its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lowvision.imaging import xmp as packets
from lowvision.imaging.exif import TURNED

Pixels = NDArray[Any]
"""(H,W,C) with C 1 (grey), 3 (RGB) or 4 (RGB and alpha); uint8, uint16, or float32 nominally in [0,1]."""


@dataclass(frozen=True, eq=False)
class Metadata:
    """Metadata besides EXIF and ICC."""

    xmp: bytes | None = None
    """The XMP packet."""
    dpi: tuple[float, float] | None = None
    """Pixels per inch, horizontally and vertically."""
    aspect: tuple[int, int] | None = None
    """Pixels per some unknown length, horizontally and vertically, of an image whose pixels are not square."""
    png: tuple[tuple[bytes, bytes], ...] = ()
    """Name and data of PNG chunks: text, and the colour space (cICP, gAMA, cHRM, sRGB)."""
    jpeg: tuple[tuple[str, bytes], ...] = ()
    """Name and data of JPEG segments: comments, Photoshop's resources with IPTC, and the rest of a long XMP packet."""
    tiff: tuple[tuple[int, int, int, bytes], ...] = ()
    """Tag, type, count and little-endian bytes of TIFF tags: IPTC, Photoshop's resources, number and name of a page."""
    lost: tuple[str, ...] = ()
    """Names of parts of the file that no result keeps; writing warns of them."""

    def turned(self, orientation: int) -> Metadata:
        """Return the metadata of an image to whose pixels an EXIF orientation was applied."""
        if orientation == 1:
            return self
        dpi = self.dpi[::-1] if self.dpi and orientation in TURNED else self.dpi
        aspect = self.aspect[::-1] if self.aspect and orientation in TURNED else self.aspect
        return replace(self, dpi=dpi, aspect=aspect, xmp=packets.upright(self.xmp) if self.xmp else self.xmp)


@dataclass(frozen=True, eq=False)
class Image:
    """An upright image with the metadata of its file."""

    pixels: Pixels
    """(H,W,C), C 1 (grey), 3 (RGB) or 4 (RGB and straight alpha); uint8, uint16, or float32 nominally in [0,1]."""
    exif: bytes | None = None
    """The EXIF block, starting at its byte-order mark, with orientation 1 and without thumbnail."""
    icc: bytes | None = None
    """The ICC profile; None if it describes other channels than these (RGB or grey)."""
    metadata: Metadata = Metadata()
    """All other metadata."""
    is_lossless_webp: bool = False
    """True if the image was read from a WebP file without loss, whose result shall have none either."""

    @property
    def colour(self) -> Pixels:
        """The pixels without alpha, (H,W,1) or (H,W,3)."""
        return self.pixels[..., :3]

    @property
    def alpha(self) -> Pixels | None:
        """The alpha channel (H,W,1); None for opaque images."""
        return self.pixels[..., 3:] if self.pixels.shape[-1] == 4 else None


@dataclass(frozen=True, eq=False)
class Frames:
    """All images of a file: one, the frames of an animation, or pages."""

    images: Sequence[Image]
    """At least one."""
    durations: tuple[float, ...] = ()
    """Milliseconds per frame; empty for a single image and for pages."""
    loops: int = 0
    """Number of times that an animation is shown; 0: without end."""

    @property
    def is_animation(self) -> bool:
        return bool(self.durations)


def describes(icc: bytes | None, pixels: Pixels) -> bool:
    """Return True if a profile is for these channels; a CMYK profile is not, after its pixels have become RGB."""
    return icc is not None and icc[16:20] == (b"GRAY" if pixels.shape[2] == 1 else b"RGB ")


def oriented(pixels: Pixels, orientation: int) -> Pixels:
    """Return the pixels with an EXIF orientation applied (EXIF 2.32, table 6)."""
    if orientation in TURNED:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return pixels


def converted(pixels: Pixels, dtype: DTypeLike) -> Pixels:
    """Return pixels as another integer type, clamped and rounded half up."""
    largest = np.float32(np.iinfo(dtype).max)
    unit = pixels if pixels.dtype.kind == "f" else pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    scaled = unit.clip(0, 1)
    scaled *= largest
    scaled += np.float32(0.5)
    return scaled.astype(dtype)


def spread(values: Pixels, bits: int) -> Pixels:
    """Return integers of a number of bits as uint8 (up to 8 bits) or uint16, scaled to the whole range."""
    dtype = np.uint8 if bits <= 8 else np.uint16
    if bits in {8, 16}:
        return values.astype(dtype, copy=False)
    largest = 2**bits - 1
    table = (np.arange(largest + 1, dtype=np.uint32) * np.iinfo(dtype).max + largest // 2) // largest
    return table.astype(dtype)[values.astype(np.uint16).clip(0, largest)]
