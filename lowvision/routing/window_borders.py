"""Measure the error of a base near the border of its windows, where it lacks context (see `window_choice`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lowvision.routing.engine import Engine
from lowvision.routing.regions import Window

BIN = 4
"""Neighbouring distances, in LQ pixels, that share a value: few pixels of a crop have each distance."""
CONTEXT = 16
"""LQ pixels that a pixel must be further from the border of the image than from that of its window."""


@dataclass(frozen=True)
class Errors:
    """Sums over an image."""

    errors: NDArray[np.float64]
    """Squared errors of the base by distance from the border of the window, in bins."""
    pixels: NDArray[np.int64]
    """Pixels in each bin."""
    before: float
    """Mean squared error of the branch before the base."""


def measure(engine: Engine, image: Tensor, target: Tensor) -> Errors:
    """Compare the base and the branch before it, on all tiles of an image, with the target.

    image: (C,h,w). target: (C,s*h,s*w) in [0,1], the base's output with more context than the image gives.
    """
    last = len(engine.networks.branches) - 1
    routes = engine.given(image, last)
    errors = _squared_errors(engine.restored(image, routes).image, target, engine.scale)
    bins = _distances(engine.windows(routes, len(image)), *image.shape[1:]) // BIN
    known = bins >= 0
    return Errors(
        np.bincount(bins[known], errors[known]).astype(np.float64),
        np.bincount(bins[known]),
        float(_squared_errors(engine.restore(image, last - 1).image, target, engine.scale).mean()),
    )


def relative(measured: Sequence[Errors]) -> tuple[float, ...]:
    """Return the error of the base at each distance in LQ pixels, relative to the error of the branch before it.

    A distance that no pixel has takes the value of the one before it, or else the first. Empty without a pixel.
    """
    count = max((len(each.pixels) for each in measured), default=0)
    before = float(np.mean([each.before for each in measured])) if count else 0.0
    if not before:
        return ()
    errors, pixels = np.zeros(count), np.zeros(count)
    for each in measured:
        errors[: len(each.errors)] += each.errors
        pixels[: len(each.pixels)] += each.pixels
    values = errors[pixels > 0] / pixels[pixels > 0] / before
    known = np.maximum(np.cumsum(pixels > 0) - 1, 0)  # the last bin with pixels up to each
    return tuple(values[known].repeat(BIN).tolist())


def _squared_errors(restored: Tensor, target: Tensor, scale: int) -> NDArray[np.float64]:
    """Return mean squared errors (h,w), one for each LQ pixel."""
    squares = (restored.clamp(0, 1).cpu() - target.cpu()).square().mean(dim=0)
    return np.asarray(functional.avg_pool2d(squares[None, None], scale)[0, 0], dtype=np.float64)


def _distances(windows: Sequence[Window], height: int, width: int) -> NDArray[np.int64]:
    """Return the distance (h,w) of each pixel from the border of its window; -1 near the border of the image.

    The border of the image is no border of a window: nothing is missing there.
    """
    distances = np.empty((height, width))
    for each in windows:
        (top, bottom), (left, right) = each.rows, each.columns
        down = _to_border(top, bottom, each.top, each.top + each.height, height)
        across = _to_border(left, right, each.left, each.left + each.width, width)
        distances[top:bottom, left:right] = np.minimum(down[:, None], across)
    down, across = (np.minimum(np.arange(side), np.arange(side)[::-1]) for side in (height, width))
    outside = np.minimum(down[:, None], across)
    return np.where(outside >= distances + CONTEXT, distances, -1).astype(np.int64)


def _to_border(first: int, last: int, start: int, end: int, length: int) -> NDArray[np.float64]:
    """Return the distances of pixels `first` .. `last` - 1 from the sides of a window that lie inside the image."""
    pixels = np.arange(first, last, dtype=np.float64)
    before = pixels - start if start > 0 else np.full(len(pixels), np.inf)
    after = end - 1 - pixels if end < length else np.full(len(pixels), np.inf)
    nearest: NDArray[np.float64] = np.minimum(before, after)
    return nearest
