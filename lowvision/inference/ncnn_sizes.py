"""PyTorch's operators that change height and width as ncnn's layers: pooling, crops, padding, interpolation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lowvision.inference.ncnn_context import (
    Blob,
    Context,
    Unsupported,
    axis_of,
    is_same,
    pair,
    ratio_of,
    require_fixed,
)

HEIGHT, WIDTH = 2, 3
"""Axes of an image (1,C,h,w)."""
NEAREST, BILINEAR, BICUBIC = 1, 2, 3
"""Kinds of interpolation."""
TO_THE_END = -233
"""End of a crop that goes to the end of its axis."""
MEAN, MAXIMUM = 3, 4
"""Kinds of reduction."""


def _reduce(to: Context, x: Blob, kind: int, axes: list[int], keepdim: bool) -> Blob:
    # 5 selects axes without the batch, counted from 0.
    return to.layer("Reduction", [x], {0: kind, 1: 0, 3: axes, 4: int(keepdim), 5: 1})


def mean(to: Context, x: Blob, axes: Sequence[int], keepdim: bool = False, **_: Any) -> Blob:
    return _reduce(to, x, MEAN, [axis_of(axis, x) for axis in axes], keepdim)


def maximum(to: Context, x: Blob, axes: Sequence[int] = (), keepdim: bool = False) -> Blob:
    return _reduce(to, x, MAXIMUM, [axis_of(axis, x) for axis in axes], keepdim)


def adaptive_mean(to: Context, x: Blob, size: Any) -> Blob:
    height, width = pair(size)
    if (height, width) == (1, 1):
        return _reduce(to, x, MEAN, [1, 2], keepdim=True)
    return to.layer("Pooling", [x], {0: 1, 7: 1, 8: width, 18: height})


def max_pool(
    to: Context, x: Blob, size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil: bool = False
) -> Blob:
    if pair(dilation) != (1, 1):
        raise Unsupported("dilated pooling")
    return _pool(to, x, 0, size, stride, padding, ceil)


def mean_pool(
    to: Context,
    x: Blob,
    size: Any,
    stride: Any = (),
    padding: Any = 0,
    ceil: bool = False,
    counts: bool = True,
    divisor: Any = None,
) -> Blob:
    if divisor is not None:
        raise Unsupported("pooling with a divisor")
    return _pool(to, x, 1, size, stride, padding, ceil, {6: int(counts)})


def _pool(
    to: Context,
    x: Blob,
    kind: int,
    size: Any,
    stride: Any,
    padding: Any,
    ceil: bool,
    more: Mapping[int, int] | None = None,
) -> Blob:
    (height, width), (step_y, step_x) = pair(size), pair(stride or size)
    y, x_pad = pair(padding)
    options = {0: kind, 1: width, 11: height, 2: step_x, 12: step_y, 3: x_pad, 14: x_pad, 13: y, 15: y}
    return to.layer("Pooling", [x], options | {5: int(not ceil)} | dict(more or {}))


def crop(to: Context, x: Blob, axis: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Blob:
    if is_same(to.shape, x.shape):
        return x
    require_fixed([start or 0, end or 0])
    if step != 1:
        raise Unsupported(f"slices with a step of {step}")
    length = x.shape[axis_of(axis, x) + 1]
    end = TO_THE_END if end is None or end >= (length if isinstance(length, int) else 2**31) else end
    return to.layer("Crop", [x], {9: [start or 0], 10: [end], 11: [axis_of(axis, x)]})


def pad(to: Context, x: Blob, sides: Sequence[int], mode: str = "constant", value: float | None = None) -> Blob:
    require_fixed(sides)
    if min(sides) < 0 or mode not in ("constant", "replicate", "reflect"):
        raise Unsupported(f"padding by {list(sides)} in mode {mode}")
    left, right, top, bottom, front, behind = (*sides, *(0,) * (6 - len(sides)))
    kind = ("constant", "replicate", "reflect").index(mode)
    options = {0: top, 1: bottom, 2: left, 3: right, 4: kind, 5: float(value or 0), 7: front, 8: behind}
    return to.layer("Padding", [x], options)


def interpolate(kind: int) -> Callable[..., Blob]:
    """Return the function for an interpolation of that kind."""

    def write(to: Context, x: Blob, _: Any, *more: Any) -> Blob:
        aligned = {6: int(bool(more[0]))} if kind != NEAREST and len(more) > 1 else {}
        ratios = more[-1] or [ratio_of(to.shape[axis], x.shape[axis]) for axis in (HEIGHT, WIDTH)]
        if None not in ratios:
            return to.layer("Interp", [x], {0: kind, 1: ratios[0], 2: ratios[1]} | aligned)
        if not is_same(to.shape[HEIGHT:], to.input.shape[HEIGHT:]):
            raise Unsupported("interpolation to a size that is not a multiple of its input's")
        return to.layer("Interp", [x, to.input], {0: kind, 5: 1} | aligned)

    return write
