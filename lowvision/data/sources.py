"""The stored form of a photograph: a file, or an image in an archive or a database."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lowvision.errors import DataError, summary_of
from lowvision.imaging import io
from lowvision.imaging.image import Image, Pixels
from lowvision.plugins.stored import Stored
from lowvision.system import cache

PIXELS = (np.uint8, np.uint16, np.float32)
"""Types of pixels."""


def fingerprint(source: Path | Stored) -> str:
    """Return a text that changes with the content. Raises DataError."""
    if isinstance(source, Path):
        return cache.fingerprint(source)
    try:
        return source.reader.fingerprint(source.key)
    except Exception as error:  # the reader of a plugin may raise anything
        raise DataError(f"{source}: cannot be read: {summary_of(error)}") from error


def read_rgb(source: Path | Stored) -> Pixels:
    """Read an image as (H,W,3) in its dtype: uint8, uint16, or float32, clamped to [0,1]. Raises DataError.

    Grey is replicated, alpha dropped.
    """
    colour = _image(source).colour
    if colour.dtype == np.float32:
        colour = np.clip(colour, 0, 1)
    return np.repeat(colour, 3, axis=2) if colour.shape[2] == 1 else np.ascontiguousarray(colour)


def is_grey(source: Path | Stored) -> bool:
    """Return True if the stored image has one channel; it is decoded for that."""
    return _image(source).colour.shape[2] == 1


def _image(source: Path | Stored) -> Image:
    if isinstance(source, Path):
        return io.read(source)
    try:
        content = source.reader.read(source.key)
    except Exception as error:  # as above
        raise DataError(f"{source}: cannot be read: {summary_of(error)}") from error
    if isinstance(content, bytes):
        return io.decode(content, str(source))
    pixels = content[..., None] if content.ndim == 2 else content
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or not pixels.size or pixels.dtype not in PIXELS:
        raise DataError(
            f"{source}: holds {pixels.dtype} of shape {content.shape}; pixels are (H,W), (H,W,1) or (H,W,3) in uint8, "
            "uint16 or float32"
        )
    return Image(np.ascontiguousarray(pixels))
