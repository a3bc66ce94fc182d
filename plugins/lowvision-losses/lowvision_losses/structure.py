"""Losses of neighbouring pixels: structural similarity and derivatives."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

C1, C2 = 0.01**2, 0.03**2
"""Constants of SSIM for images in [0,1]."""
SOBEL = ((1.0, 0.0, -1.0), (2.0, 0.0, -2.0), (1.0, 0.0, -1.0))


class SSIM(nn.Module):
    """1 minus the mean SSIM over all windows inside the images, of each channel."""

    def __init__(self, window: int, sigma: float):
        super().__init__()
        self.window, self.sigma = window, sigma

    def forward(self, restored: Tensor, gt: Tensor) -> Tensor:
        a, b = (image.flatten(0, 1)[:, None] for image in (restored, gt))  # (B*C,1,H,W)
        taps = self._taps(min(self.window, *a.shape[2:]), a)
        mean_a, mean_b, square_a, square_b, product = (
            _filtered(planes, taps) for planes in (a, b, a * a, b * b, a * b)
        )
        both, squares = mean_a * mean_b, mean_a.square() + mean_b.square()
        covariance, variances = product - both, square_a + square_b - squares
        similarity = (2 * both + C1) * (2 * covariance + C2) / ((squares + C1) * (variances + C2))
        return 1 - similarity.mean()

    def _taps(self, size: int, like: Tensor) -> Tensor:
        offsets = torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2
        weights = torch.exp(-offsets.square() / (2 * self.sigma**2))
        return weights / weights.sum()


def _filtered(planes: Tensor, taps: Tensor) -> Tensor:
    """Filter (N,1,H,W) by a separable window, inside only."""
    return functional.conv2d(functional.conv2d(planes, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))


class Gradient(nn.Module):
    """L1 of the Sobel derivatives in both directions, scaled to the slope of a ramp."""

    def __init__(self) -> None:
        super().__init__()
        kernel = torch.tensor(SOBEL) / 8
        self.register_buffer("kernels", torch.stack([kernel, kernel.T])[:, None])  # (2,1,3,3)

    def forward(self, restored: Tensor, gt: Tensor) -> Tensor:
        error = (restored - gt).flatten(0, 1)[:, None]  # derivatives are linear
        kernels = self.get_buffer("kernels").to(error.dtype)
        return functional.conv2d(functional.pad(error, (1, 1, 1, 1), mode="replicate"), kernels).abs().mean()
