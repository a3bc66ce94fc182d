"""Random pixels, and files of images, for tests."""

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


def touch(folder: Path, *names: str) -> Path:
    """Create empty files below a folder."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def write_small_photographs(folder: Path, count: int) -> None:
    """Write `count` photographs of 24x20 pixels, 0.png, 1.tif, 2.png and so on."""
    for n in range(count):
        picture = np.random.default_rng(n).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        io.write(folder / f"{n}{('.png', '.tif')[n % 2]}", io.Image(picture))
