"""Multi-scale structural similarity (Wang, Simoncelli, Bovik 2003) of the luma of BT.601."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, the finest first (section 3.2 of the paper)."""
WINDOW, SIGMA = 11, 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
LUMA = (65.481, 128.553, 24.966)
"""Weights of R, G and B in [0,1] for luma in 16..235."""
STRIP = 256
"""Rows of windows at a time, to bound the memory on large photographs."""


def measure(restored: Tensor, gt: Tensor) -> float:
    """Return MS-SSIM of two images (C,H,W) in [0,1]; H and W at least 176, so that the coarsest scale has a window."""
    a, b = (_luma(image)[None, None] for image in (restored, gt))
    value = torch.ones((), dtype=a.dtype, device=a.device)
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            a, b = (functional.avg_pool2d(x, 2) for x in (a, b))
        luminance, contrast = _means(a[0, 0], b[0, 0])
        # Only the coarsest scale compares luminance; a negative mean has no root.
        value = value * (luminance if scale == len(WEIGHTS) - 1 else contrast).clamp_min(0) ** weight
    return float(value)


def _means(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean SSIM, and the mean of contrast times structure, over all windows of (H,W)."""
    rows, columns = a.shape[0] - WINDOW + 1, a.shape[1] - WINDOW + 1
    sums = a.new_zeros(2)
    for top in range(0, rows, STRIP):
        part = slice(top, top + STRIP + WINDOW - 1)
        sums += torch.stack(_sums(a[part], b[part]))
    mean = sums / (rows * columns)
    return mean[0], mean[1]


def _sums(a: Tensor, b: Tensor) -> list[Tensor]:
    moments = torch.stack([a, b, a * a, b * b, a * b])[:, None]  # (5,1,h,w)
    offsets = torch.arange(WINDOW, dtype=a.dtype, device=a.device) - WINDOW // 2
    taps = torch.exp(-offsets.square() / (2 * SIGMA**2))
    taps = taps / taps.sum()
    blurred = functional.conv2d(functional.conv2d(moments, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))[:, 0]
    mean_a, mean_b, square_a, square_b, product = blurred
    both, squares = mean_a * mean_b, mean_a.square() + mean_b.square()
    contrast = (2 * (product - both) + C2) / (square_a + square_b - squares + C2)
    return [((2 * both + C1) / (squares + C1) * contrast).sum(), contrast.sum()]


def _luma(image: Tensor) -> Tensor:
    """Return luma in 16..235 of RGB, or the values of grey in 0..255: (C,H,W) in [0,1] -> (H,W), float64."""
    wide = (image.cpu() if image.device.type == "mps" else image).double()
    if len(wide) == 1:
        return wide[0] * 255
    return (wide * wide.new_tensor(LUMA)[:, None, None]).sum(dim=0) + 16
