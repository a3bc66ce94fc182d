"""Enlarge and halve feature maps, and add the interpolated input to an output."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from lowvision.imaging.resize import upsample
from lowvision.plugins.contracts import Skip

STEPS = {1: (), 2: (2,), 3: (3,), 4: (2, 2)}
"""The factors, one after the other, that lead to each scale."""


def add_skip(image: Tensor, lq: Tensor, scale: int, skip: Skip) -> Tensor:
    """The network's image (B,C,h*scale,w*scale) plus its interpolated input, where a skip is wanted."""
    return image if skip == "none" else image + upsample(lq, scale, skip)


def upsampler(channels: int, scale: int) -> nn.Sequential:
    """Features (B,channels,h,w) -> (B,channels,h*scale,w*scale), by a convolution and a pixel shuffle for each step."""
    enlarge = nn.Sequential()
    for factor in STEPS[scale]:
        enlarge.append(nn.Conv2d(channels, channels * factor**2, 3, padding=1))
        enlarge.append(nn.PixelShuffle(factor))
    return enlarge


def halved(features: Tensor) -> Tensor:
    """(B,C,h,w) -> (B,C,ceil(h/2),ceil(w/2)), means of 2x2; the last row or column of an odd size is its own mean."""
    # Where a side is even, the replicated line is left over, and pooling drops it.
    return functional.avg_pool2d(functional.pad(features, (0, 1, 0, 1), mode="replicate"), 2)
