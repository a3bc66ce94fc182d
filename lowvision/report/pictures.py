"""What a report shows of an image: its route map, and the same small piece of every way to restore it."""

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
"""A map that is wider is shrunk to so many pixels."""
PIECE = 80
"""Height and width of a piece, in pixels of the restored image."""
STRIDE = 8
"""How finely the place of a piece is chosen."""


@dataclass(frozen=True)
class Shown:
    """The pictures of one image, as addresses that hold their content (`data:`)."""

    map: str | None
    pieces: Mapping[str, str]
    """By way; `gt` is the last."""


def shown(folder: Path, ways: Iterable[str]) -> Shown:
    """What `folder` holds of an image: `map.png`, and `<way>.png` of any of `ways` and of `gt`; each may be absent."""
    found = {way: _read(folder / f"{way}.png") for way in (*ways, "gt") if (folder / f"{way}.png").is_file()}
    top, left = _telling_place(found)
    pieces = {way: image[:, top : top + PIECE, left : left + PIECE] for way, image in found.items()}
    chart = folder / "map.png"
    return Shown(
        _address(_fitted(_read(chart)), ".jpg") if chart.is_file() else None,
        {way: _address(piece, ".png") for way, piece in pieces.items()},
    )


def _read(path: Path) -> Tensor:
    return io.to_tensor(io.read_rgb(path))


def _telling_place(found: Mapping[str, Tensor]) -> tuple[int, int]:
    """Top and left of the piece in which base and input differ most; the middle where one of them is absent."""
    if not found:
        return 0, 0
    _, height, width = next(iter(found.values())).shape
    if "input" not in found or "base_whole" not in found or min(height, width) < PIECE:
        return max(height - PIECE, 0) // 2, max(width - PIECE, 0) // 2
    difference = (found["base_whole"] - found["input"]).abs().mean(dim=0)  # (H, W)
    means = functional.avg_pool2d(difference[None, None], PIECE, STRIDE)[0, 0]
    row, column = divmod(int(torch.argmax(means)), means.shape[1])
    return row * STRIDE, column * STRIDE


def _fitted(chart: Tensor) -> Tensor:
    _, height, width = chart.shape
    if width <= MAP_WIDTH:
        return chart
    return resize(chart, (max(round(height * MAP_WIDTH / width), 1), MAP_WIDTH))


def _address(image: Tensor, suffix: str) -> str:
    content = io.encoded(io.Image(io.to_uint8(image)), suffix, quality=88)
    kind = "jpeg" if suffix == ".jpg" else suffix[1:]
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
