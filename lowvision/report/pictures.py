"""Select the pictures of an image in a report: input and result as a whole, route map, a crop of every method."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from lowvision.imaging import io
from lowvision.imaging.resize import resize

MAP_WIDTH = 900
"""Largest width of a route map and of a whole image in pixels; a wider one is shrunk."""
COMPARED = ("input", "routed")
"""Methods whose whole images are compared: before and after."""
PIECE = 80
"""Height and width of a crop, in pixels of the restored image."""
STRIDE = 8
"""Step, in pixels, between the candidate positions of a crop."""


@dataclass(frozen=True)
class Shown:
    """The pictures of one image, as `data:` URLs."""

    map: str | None
    pieces: Mapping[str, str]
    """Crops by method; `gt` is the last."""
    before: str | None = None
    """The input, enlarged to the size of the result; None if input or result are absent."""
    after: str | None = None
    """The result."""


def shown(folder: Path, ways: Iterable[str], has_whole: bool = False) -> Shown:
    """Read `map.png`, and `<method>.png` for each of `ways` and for `gt`, from `folder`; each may be absent.

    has_whole: also return input and result as a whole.
    """
    images = {way: _read(folder / f"{way}.png") for way in (*ways, "gt") if (folder / f"{way}.png").is_file()}
    top, left = _crop_position(images)
    pieces = {way: image[:, top : top + PIECE, left : left + PIECE] for way, image in images.items()}
    chart = folder / "map.png"
    return Shown(
        whole_url(_read(chart)) if chart.is_file() else None,
        {way: _data_url(piece, ".png") for way, piece in pieces.items()},
        *(_compared(images) if has_whole else ()),
    )


def _compared(images: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Return input and result as `data:` URLs; none if one of them is absent or they differ in size."""
    wholes = [images[way] for way in COMPARED if way in images]
    if len(wholes) < len(COMPARED) or wholes[0].shape != wholes[1].shape:
        return ()
    return tuple(whole_url(image) for image in wholes)


def whole_url(image: Tensor) -> str:
    """Return an image (C,H,W), at most `MAP_WIDTH` wide, as the `data:` URL of a JPEG."""
    return _data_url(_shrunk(image), ".jpg")


def _read(path: Path) -> Tensor:
    return io.to_tensor(io.read_rgb(path))


def _crop_position(images: Mapping[str, Tensor]) -> tuple[int, int]:
    """Return top and left of the crop in which base and input differ most; the middle if one of them is absent."""
    if not images:
        return 0, 0
    _, height, width = next(iter(images.values())).shape
    if "input" not in images or "base_whole" not in images or min(height, width) < PIECE:
        return max(height - PIECE, 0) // 2, max(width - PIECE, 0) // 2
    difference = (images["base_whole"] - images["input"]).abs().mean(dim=0)  # (H, W)
    means = functional.avg_pool2d(difference[None, None], PIECE, STRIDE)[0, 0]
    row, column = divmod(int(torch.argmax(means)), means.shape[1])
    return row * STRIDE, column * STRIDE


def _shrunk(image: Tensor) -> Tensor:
    _, height, width = image.shape
    if width <= MAP_WIDTH:
        return image
    return resize(image, (max(round(height * MAP_WIDTH / width), 1), MAP_WIDTH))


def _data_url(image: Tensor, suffix: str) -> str:
    content = io.encoded(io.Image(io.to_uint8(image)), suffix, quality=88)
    kind = "jpeg" if suffix == ".jpg" else suffix[1:]
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
