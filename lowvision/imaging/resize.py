"""The only resize in the project: MATLAB's antialiased bicubic on tensors, and the interpolation that networks use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

SUPPORT = 2.0
"""The cubic kernel is zero beyond this distance."""
BLOCK = 64
"""Outputs that one matrix product makes: wide enough to keep the cores busy, narrow enough to stay near the band."""


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resample x (...,H,W) to (...,*size) as MATLAB's `imresize(x, size, "bicubic")` does.

    Cubic kernel with a = -0.5, widened by the factor where an axis shrinks (antialiasing); pixels mirrored at the
    border, the edge pixel twice; the factor of an axis is out / in. Values keep their range but may overshoot it;
    nothing is clamped or rounded. A floating dtype is kept; the weights are computed in float64. Runs on any device
    and is differentiable. An axis whose size stays is not touched; where both stay, `x` itself is returned.

    Source: Keys 1981, eq. 15, as MATLAB applies it. Raises TypeError for integers, ValueError for an empty side.
    """
    if not x.is_floating_point():
        raise TypeError(f"resize needs a floating tensor, not {x.dtype}; divide 8-bit values by 255 first")
    if min(*x.shape[-2:], *size) < 1:
        raise ValueError(f"cannot resize {tuple(x.shape[-2:])} to {tuple(size)}: every side must be at least 1")
    # The axis that shrinks more goes first, so that the second one has less to do.
    axes = sorted((-2, -1), key=lambda axis: size[axis] / x.shape[axis])
    for axis in axes:
        x = _resize_axis(x, axis, size[axis])
    return x


def upsample(x: Tensor, scale: int, mode: Literal["nearest", "bilinear", "bicubic"]) -> Tensor:
    """Enlarge x (B,C,h,w) to (B,C,h*scale,w*scale) with torch's own interpolation; for use inside networks.

    Pixels are squares (align_corners False). `bicubic` asks for antialias, which changes nothing when enlarging
    except the kernel's a: -0.5 like MATLAB's and `resize`, not torch's -0.75. It equals `resize` except within
    two source pixels of the border, where torch drops the taps outside the image instead of mirroring.
    """
    if scale == 1:
        return x
    if mode == "nearest":
        return functional.interpolate(x, scale_factor=scale, mode=mode)
    return functional.interpolate(x, scale_factor=scale, mode=mode, align_corners=False, antialias=mode == "bicubic")


def enlarging_kernel(factor: int) -> tuple[Tensor, int]:
    """What one input pixel gives to the outputs around it in `upsample(..., "bicubic")`, along one axis.

    Weights (4*factor,) in float64, and how many of those outputs lie before the first of the pixel's own: output o
    takes weight o - factor*i + before of pixel i. At the border the weights of what is inside do not sum to 1.
    """
    before = 3 * factor // 2
    outputs = torch.arange(4 * factor, dtype=torch.float64) - before
    return _cubic((outputs + 0.5) / factor - 0.5), before


def _resize_axis(x: Tensor, axis: int, length: int) -> Tensor:
    """Resample one of the last two axes: a banded matrix product, a block of outputs at a time."""
    if x.shape[axis] == length:
        return x
    blocks = []
    for start, exact in _blocks(x.shape[axis], length):
        weights = exact.to(x.dtype).to(x.device)  # (outputs, inputs); two steps: some devices know no float64
        inputs = x.narrow(axis, start, weights.shape[1])
        blocks.append(inputs @ weights.T if axis == -1 else weights @ inputs)
    return torch.cat(blocks, dim=axis)


def _blocks(old: int, new: int) -> Iterator[tuple[int, Tensor]]:
    """For each block of outputs, the first input pixel that it reads and its weights (outputs, inputs), float64."""
    taps, weights = _taps(old, new)
    for near, weight in zip(taps.split(BLOCK), weights.split(BLOCK), strict=True):
        start, stop = int(near.min()), int(near.max()) + 1
        # A mirrored tap falls on a pixel that may have a tap already: their weights add up.
        yield start, weight.new_zeros(len(near), stop - start).scatter_add_(1, near - start, weight)


def _taps(old: int, new: int) -> tuple[Tensor, Tensor]:
    """Which input pixels each output reads and how much of each: indices and weights, both (new, taps)."""
    scale = new / old
    stretch = max(1.0, 1.0 / scale)  # antialiasing: a shrinking kernel covers 1/scale input pixels per unit
    centre = (torch.arange(new, dtype=torch.float64) + 0.5) / scale - 0.5
    first = torch.ceil(centre - SUPPORT * stretch)
    taps = first[:, None] + torch.arange(int(2 * SUPPORT * stretch) + 2, dtype=torch.float64)
    weights = _cubic((centre[:, None] - taps) / stretch)
    weights = weights / weights.sum(dim=1, keepdim=True)
    position = taps.long().remainder(2 * old)  # mirrored about the borders, the edge pixel twice
    return torch.minimum(position, 2 * old - 1 - position), weights


def _cubic(distance: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -0.5 (Keys 1981, eq. 15)."""
    d = distance.abs()
    near = (1.5 * d - 2.5) * d * d + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return torch.where(d <= 1, near, torch.where(d <= SUPPORT, far, 0.0))
