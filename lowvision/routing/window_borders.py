"""Measure the error of a base near the border of its windows, where it lacks context (see `window_choice`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lowvision.routing.engine import Engine
from lowvision.routing.regions import Window

MERGED = 2
"""Rows and columns of tiles in the windows that are measured: an image holds many of their borders."""
BIN = 4
"""Neighbouring distances, in LQ pixels, that share a value: few pixels of a crop have each distance."""
CONTEXT = 16
"""LQ pixels that a pixel must be further from the border of the image, beyond which the target saw more, than from
that of its window."""


@dataclass(frozen=True)
class Errors:
    """Sums of squared errors over the pixels of an image, by distance from the border of the window, in bins."""

    base: NDArray[np.float64]
    before: NDArray[np.float64]
    """Errors of the branch before the base, at the same pixels."""


def measure(engine: Engine, image: Tensor, target: Tensor) -> Errors:
    """Compare the base in small windows, and the branch before it, with the target.

    image: (C,h,w). target: (C,s*h,s*w) in [0,1], the base's output with more context than the image gives.
    """
    last = len(engine.networks.branches) - 1
    small = replace(engine, geometry=replace(engine.geometry, merge=min(MERGED, engine.geometry.merge)))
    routes, layout = small.given(image, last), small.layout(image)
    windows = [each for stretch in layout.stretches() for each in layout.windows(routes.choice, stretch)]
    base = _squared_errors(small.restored(image, routes).image, target, engine.scale)
    before = _squared_errors(engine.restore(image, last - 1).image, target, engine.scale)
    bins = _distances(windows, *image.shape[1:]) // BIN
    known = bins >= 0
    return Errors(*(np.bincount(bins[known], each[known]).astype(np.float64) for each in (base, before)))


def relative(measured: Sequence[Errors]) -> tuple[float, ...]:
    """Return the error of the base at each distance in LQ pixels, relative to that of the branch before it there.

    A distance at which that branch has no error takes the value of the one before it, or else the first. Empty if it
    has none anywhere.
    """
    length = max((len(each.base) for each in measured), default=0)
    base, before = np.zeros(length), np.zeros(length)
    for each in measured:
        base[: len(each.base)] += each.base
        before[: len(each.before)] += each.before
    known = before > 0
    if not known.any():
        return ()
    nearest = np.maximum(np.cumsum(known) - 1, 0)  # the last known bin up to each
    return tuple((base[known] / before[known])[nearest].repeat(BIN).tolist())


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
