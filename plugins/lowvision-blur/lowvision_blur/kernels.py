"""What a point becomes under a blur, and images under it."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

FAR = 4
"""Standard deviations after which the bell ends; 6e-5 of it lie beyond."""


def blurred(image: Tensor, kernel: Literal["gaussian", "disc"], radius: float) -> Tensor:
    """image (C,H,W) in [0,1] under a blur of `radius` pixels; at the border the edge pixels go on. Keeps the dtype."""
    if kernel == "disc":
        return _filtered(image, disc(radius)).clamp(0, 1)
    line = bell(radius)
    return _filtered(_filtered(image, line[:, None]), line[None]).clamp(0, 1)


def bell(sigma: float) -> Tensor:
    """(K,) a Gaussian of that standard deviation, of sum 1, in float64."""
    reach = math.ceil(FAR * sigma)
    places = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weights = (-0.5 * (places / sigma) ** 2).exp()
    return weights / weights.sum()


def disc(radius: float) -> Tensor:
    """(K,K) a disc of that radius with a soft edge, one pixel wide, of sum 1, in float64."""
    reach = math.ceil(radius)
    places = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weights = (radius + 0.5 - torch.hypot(places[:, None], places[None])).clamp(0, 1)
    return weights / weights.sum()


def _filtered(image: Tensor, kernel: Tensor) -> Tensor:
    """Every colour of image (C,H,W) under kernel (K,L), both odd."""
    above, beside = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = functional.pad(image[:, None], (beside, beside, above, above), mode="replicate")  # (C,1,H+..,W+..)
    return functional.conv2d(padded, kernel.to(image)[None, None])[:, 0]
