"""Estimates of noise and of blur from an image alone, by fixed formulas without trained constants."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B in the luma of BT.601."""
LAPLACIANS = ((1.0, -2.0, 1.0), (-2.0, 4.0, -2.0), (1.0, -2.0, 1.0))
"""The difference of two Laplacians, which is 0 on planes and edges of constant slope (Immerkaer 1996, equation 1)."""
TAPS = 9
"""Taps of the mean filter that blurs again (Crete et al. 2007, section 2)."""


def noise(image: Tensor) -> float:
    """Return the standard deviation of white noise in 8-bit levels: (C,H,W) in [0,1], H and W at least 3."""
    kernel = image.new_tensor(LAPLACIANS, dtype=torch.float64)[None, None]
    response = functional.conv2d(_luma(image)[None, None], kernel)
    # The kernel multiplies the deviation of white noise by 6; sqrt(pi / 2) makes a deviation of a mean of magnitudes.
    return 255 * math.sqrt(math.pi / 2) / 6 * float(response.abs().mean())


def blur(image: Tensor) -> float:
    """Return the share of differences that survives another blur, in the worse direction: 0 sharp, 1 blurred."""
    luma = _luma(image)
    return max(_blur_of_rows(luma), _blur_of_rows(luma.T))


def _blur_of_rows(luma: Tensor) -> float:
    again = functional.avg_pool1d(functional.pad(luma[:, None], (TAPS // 2,) * 2, mode="replicate"), TAPS, 1)[:, 0]
    before, after = luma.diff(dim=1).abs(), again.diff(dim=1).abs()
    lost, total = (before - after).clamp_min(0).sum(), before.sum()
    return float((total - lost) / total) if total > 0 else 1.0


def _luma(image: Tensor) -> Tensor:
    """Return the luma (H,W) of an image (C,H,W), in float64."""
    wide = (image.cpu() if image.device.type == "mps" else image).double()
    return wide[0] if len(wide) == 1 else (wide * wide.new_tensor(LUMA)[:, None, None]).sum(dim=0)
