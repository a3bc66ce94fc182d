"""Enhanced spatial attention: weighs features by what a coarse copy of the whole input contains.

Liu, Zhang, Tang, Tang, Wu: Residual Feature Aggregation Network for Image Super-Resolution, CVPR 2020.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

WINDOW, STEP = 7, 3
"""Side and step of the pooling."""
HALVING = 3
"""Side of the convolution with step 2 before it."""
SMALLEST = 2 * (WINDOW - 1) + HALVING
"""Smallest side that this convolution and the pooling can take."""


def at_least(features: Tensor, side: int) -> Tensor:
    """Repeat the last row and column of features (B,C,h,w) until height and width are at least `side`."""
    height, width = features.shape[-2:]
    if height >= side and width >= side:
        return features
    return functional.pad(features, (0, max(0, side - width), 0, max(0, side - height)), mode="replicate")


def resized(coarse: Tensor, like: Tensor) -> Tensor:
    """Resize a coarse map to height and width of `like`, bilinearly."""
    height, width = like.shape[-2:]
    return functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)


class SpatialAttention(nn.Module):
    """The attention of RLFN: one convolution on the pooled map."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.fine = nn.Conv2d(hidden, hidden, 1)
        self.halve = nn.Conv2d(hidden, hidden, HALVING, stride=2)
        self.pool = nn.MaxPool2d(WINDOW, STEP)
        self.coarse = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.excite = nn.Conv2d(hidden, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        squeezed = self.squeeze(features)  # (B, hidden, h, w)
        coarse = self.coarse(self.pool(self.halve(at_least(squeezed, SMALLEST))))  # (B, hidden, about h/6, w/6)
        weights = self.excite(resized(coarse, features) + self.fine(squeezed))  # (B, C, h, w)
        return features * weights.sigmoid()
