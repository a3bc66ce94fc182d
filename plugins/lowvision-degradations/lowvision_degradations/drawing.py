"""Lines that cover photographs: rain streaks and scratches, drawn by OpenCV."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Generator, Tensor

from lowvision_degradations.ranges import drawn

if TYPE_CHECKING:
    from lowvision_degradations.weather import Inpainting, Rain

SPREAD = 3.0
"""Degrees by which a streak may differ from the direction of the rain."""
SOFTNESS = 0.6
"""Standard deviation in pixels of the blur of streaks."""
SUBPIXEL = 4
"""Bits of the fractions of coordinates in OpenCV's drawing."""


def streaks(rain: Rain, height: int, width: int, generator: Generator) -> Tensor:
    """Return the opacity (1,height,width) in [0,1] of rain in front of an image."""
    count = round(drawn(rain.density, generator) * height * width / 1000)
    direction = drawn(rain.angle, generator)
    canvas = np.zeros((height, width), np.uint8)
    for row, column, length, tilt, opacity in torch.rand((count, 5), generator=generator).tolist():
        angle = math.radians(direction + SPREAD * (2 * tilt - 1))
        along = _within(rain.length, length)
        start = (column * width, row * height)
        end = (start[0] + along * math.sin(angle), start[1] + along * math.cos(angle))
        _line(canvas, start, end, round(255 * _within(rain.opacity, opacity)), 1)
    soft = cv2.GaussianBlur(canvas, (3, 3), SOFTNESS)
    return torch.from_numpy(soft)[None] / 255


def scratches(task: Inpainting, height: int, width: int, generator: Generator) -> Tensor:
    """Return a mask (1,height,width), 1 where pixels are missing."""
    left = drawn(task.coverage, generator) * height * width
    canvas = np.zeros((height, width), np.uint8)
    low, high = task.thickness
    while left > 0:
        row, column, length, turn, thick = torch.rand(5, generator=generator).tolist()
        along, thickness = _within(task.length, length), low + int(thick * (high - low + 1))
        start = (column * width, row * height)
        end = (start[0] + along * math.cos(math.pi * turn), start[1] + along * math.sin(math.pi * turn))
        _line(canvas, start, end, 255, thickness, cv2.LINE_8)
        left -= (along + 1) * thickness
    return torch.from_numpy((canvas > 0).astype(np.float32))[None]


def _within(value: float | tuple[float, float], fraction: float) -> float:
    """Return the number itself, or that fraction of the way through a range."""
    if not isinstance(value, tuple):
        return value
    return value[0] + (value[1] - value[0]) * fraction


def _line(
    canvas: np.ndarray,
    start: tuple[float, float],
    end: tuple[float, float],
    value: int,
    thickness: int,
    kind: int = cv2.LINE_AA,
) -> None:
    (x0, y0), (x1, y1) = ((round(x * 2**SUBPIXEL), round(y * 2**SUBPIXEL)) for x, y in (start, end))
    cv2.line(canvas, (x0, y0), (x1, y1), (value,), thickness, kind, SUBPIXEL)
