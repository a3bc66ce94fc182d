"""Blur kernels, and their application to images."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

TRUNCATION = 4
"""Standard deviations at which the Gaussian is cut off; 6e-5 of its mass lie beyond."""


def blurred(image: Tensor, kernel: Literal["gaussian", "disc"], radius: float) -> Tensor:
    """Blur an image (C,H,W) in [0,1] by `radius` pixels, with edge pixels replicated. Keeps the dtype."""
    if kernel == "disc":
        return _filtered(image, disc(radius)).clamp(0, 1)
    line = gaussian(radius)
    return _filtered(_filtered(image, line[:, None]), line[None]).clamp(0, 1)


def gaussian(sigma: float) -> Tensor:
    """Return (K,) a Gaussian of standard deviation `sigma`, of sum 1, in float64."""
    reach = math.ceil(TRUNCATION * sigma)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weights = (-0.5 * (offsets / sigma) ** 2).exp()
    return weights / weights.sum()


def disc(radius: float) -> Tensor:
    """Return (K,K) a disc of that radius with a soft edge, one pixel wide, of sum 1, in float64."""
    reach = math.ceil(radius)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weights = (radius + 0.5 - torch.hypot(offsets[:, None], offsets[None])).clamp(0, 1)
    return weights / weights.sum()


def _filtered(image: Tensor, kernel: Tensor) -> Tensor:
    """Filter every colour of image (C,H,W) by a kernel (K,L) with odd sides."""
    pad_y, pad_x = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = functional.pad(image[:, None], (pad_x, pad_x, pad_y, pad_y), mode="replicate")  # (C,1,H+K-1,W+L-1)
    return functional.conv2d(padded, kernel.to(image)[None, None])[:, 0]
