"""MATLAB's antialiased bicubic resize on tensors, and the interpolation for use inside networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

SUPPORT = 2.0
"""Radius of the cubic kernel."""
BLOCK = 64
"""Outputs per matrix product: enough to use all cores, few enough that the matrix has few zeros."""


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resample x (...,H,W) to (...,*size) as MATLAB's `imresize(x, size, "bicubic")` does.

    The cubic kernel has a = -0.5 and is widened on axes that shrink (antialiasing). The scale of an axis is out / in.
    Pixels are mirrored at the border, including the edge pixel. Values may overshoot their range; nothing is clamped
    or rounded. The floating dtype is kept; the weights are computed in float64. Works on all devices and is
    differentiable. An axis of unchanged size is not resampled; if both are unchanged, `x` itself is returned.

    Source: Keys 1981, eq. 15, as MATLAB applies it. Raises TypeError for integers, ValueError for an empty side.
    """
    if not x.is_floating_point():
        raise TypeError(f"resize: x has dtype {x.dtype}; convert it to floats, e.g. divide 8-bit values by 255")
    if min(*x.shape[-2:], *size) < 1:
        raise ValueError(f"resize: cannot resize {tuple(x.shape[-2:])} to {tuple(size)}; every side must be at least 1")
    # The axis that shrinks more goes first, so that less remains for the second one.
    axes = sorted((-2, -1), key=lambda axis: size[axis] / x.shape[axis])
    for axis in axes:
        x = _resize_axis(x, axis, size[axis])
    return x


def upsample(x: Tensor, scale: int, mode: Literal["nearest", "bilinear", "bicubic"]) -> Tensor:
    """Enlarge x (B,C,h,w) to (B,C,h*scale,w*scale) with torch's interpolation, for use inside networks.

    Pixels are squares (align_corners False). `bicubic` sets antialias, whose only effect on enlarging is the kernel's
    a: -0.5 as in MATLAB and `resize`, instead of torch's -0.75. The result equals that of `resize`, except within two
    source pixels of the border, where torch drops the taps outside the image instead of mirroring them.
    """
    if scale == 1:
        return x
    if mode == "nearest":
        return functional.interpolate(x, scale_factor=scale, mode=mode)
    return functional.interpolate(x, scale_factor=scale, mode=mode, align_corners=False, antialias=mode == "bicubic")


def enlarging_kernel(factor: int) -> tuple[Tensor, int]:
    """Return the weights of one input pixel in the outputs of `upsample(..., "bicubic")`, along one axis.

    Returns weights (4*factor,) in float64 and an offset `before`: in output o, input pixel i has the weight number
    o - factor*i + before. At the border the weights of the pixels inside the image do not sum to 1.
    """
    before = 3 * factor // 2
    outputs = torch.arange(4 * factor, dtype=torch.float64) - before
    return _cubic((outputs + 0.5) / factor - 0.5), before


def _resize_axis(x: Tensor, axis: int, length: int) -> Tensor:
    """Resample one of the last two axes by a banded matrix product, one block of outputs at a time."""
    if x.shape[axis] == length:
        return x
    blocks = []
    for start, exact in _blocks(x.shape[axis], length):
        weights = exact.to(x.dtype).to(x.device)  # (outputs, inputs); two steps: some devices lack float64
        inputs = x.narrow(axis, start, weights.shape[1])
        blocks.append(inputs @ weights.T if axis == -1 else weights @ inputs)
    return torch.cat(blocks, dim=axis)


def _blocks(old: int, new: int) -> Iterator[tuple[int, Tensor]]:
    """Yield, per block of outputs, its first input pixel and its weights (outputs, inputs) in float64."""
    taps, weights = _taps(old, new)
    for near, weight in zip(taps.split(BLOCK), weights.split(BLOCK), strict=True):
        start, stop = int(near.min()), int(near.max()) + 1
        # A mirrored tap may fall on a pixel that has a tap already: their weights are added.
        yield start, weight.new_zeros(len(near), stop - start).scatter_add_(1, near - start, weight)


def _taps(old: int, new: int) -> tuple[Tensor, Tensor]:
    """Return the indices and the weights of the input pixels of each output, both (new, taps)."""
    scale = new / old
    stretch = max(1.0, 1.0 / scale)  # antialiasing: a shrinking kernel covers 1/scale input pixels per unit
    centre = (torch.arange(new, dtype=torch.float64) + 0.5) / scale - 0.5
    first = torch.ceil(centre - SUPPORT * stretch)
    taps = first[:, None] + torch.arange(int(2 * SUPPORT * stretch) + 2, dtype=torch.float64)
    weights = _cubic((centre[:, None] - taps) / stretch)
    weights = weights / weights.sum(dim=1, keepdim=True)
    position = taps.long().remainder(2 * old)  # mirrored at the borders, including the edge pixel
    return torch.minimum(position, 2 * old - 1 - position), weights


def _cubic(distance: Tensor) -> Tensor:
    """Return Keys' cubic convolution kernel with a = -0.5 (Keys 1981, eq. 15)."""
    d = distance.abs()
    near = (1.5 * d - 2.5) * d * d + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return torch.where(d <= 1, near, torch.where(d <= SUPPORT, far, 0.0))
