"""Random pixels and files of images, for the tests of imaging."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from lowvision.imaging import io

H, W = 37, 53
DURATIONS = (40.0, 120.0, 80.0)
"""Milliseconds of frames."""


def noise(channels: int, dtype: Any = np.uint8, seed: int = 0) -> np.ndarray:
    """Return random pixels (H,W,channels); alpha is never 0, so that every colour is defined."""
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return random.random((H, W, channels)).astype(dtype)
    return random.integers(1, np.iinfo(dtype).max, (H, W, channels), dtype, endpoint=True)


def decoded(tmp_path: Path, content: bytes, name: str = "a.bin") -> np.ndarray:
    (tmp_path / name).write_bytes(content)
    return io.read(tmp_path / name).pixels


def saved(picture: PIL.Image.Image, form: str, **options: Any) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def rgba_of_grey(pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([np.repeat(pixels[..., :1], 3, axis=2), pixels[..., 1:]], axis=2)


def frames(channels: int = 3, count: int = 3) -> list[np.ndarray]:
    return [np.random.default_rng(n).integers(1, 256, (H, W, channels), dtype=np.uint8) for n in range(count)]
