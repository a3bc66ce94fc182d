"""The image file formats that lowvision reads and writes; imports no image library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Depth = Literal["uint8", "uint16", "float32"]


@dataclass(frozen=True)
class ImageFormat:
    """One image file format."""

    suffixes: tuple[str, ...]
    """File name suffixes, in lower case."""
    signatures: tuple[bytes, ...]
    """The first bytes of a file; one of them."""
    depths: tuple[Depth, ...] = ("uint8",)
    """NumPy dtypes of the pixels that a file can hold, the best one last."""
    has_opencv_metadata: bool = False
    """True if OpenCV writes EXIF and ICC into it."""


PNG = ImageFormat((".png",), (b"\x89PNG",), ("uint8", "uint16"), has_opencv_metadata=True)
JPEG = ImageFormat((".jpg", ".jpeg"), (b"\xff\xd8\xff",), has_opencv_metadata=True)
TIFF = ImageFormat((".tif", ".tiff"), (b"II*\0", b"MM\0*"), ("uint8", "uint16", "float32"))
WEBP = ImageFormat((".webp",), (b"RIFF",), has_opencv_metadata=True)
BMP = ImageFormat((".bmp",), (b"BM",))

FORMATS = (PNG, JPEG, TIFF, WEBP, BMP)
BY_SUFFIX = {suffix: image_format for image_format in FORMATS for suffix in image_format.suffixes}
SUFFIXES = tuple(BY_SUFFIX)
"""Suffixes of all image files, in lower case."""
SIGNATURES = tuple(signature for image_format in FORMATS for signature in image_format.signatures)
"""First bytes of all image files; they distinguish a damaged image from another file."""
