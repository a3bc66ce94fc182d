"""Upsample and halve feature maps, and add the interpolated input to an output."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from lowvision.imaging.resize import upsample
from lowvision.plugins.contracts import Skip

STEPS = {1: (), 2: (2,), 3: (3,), 4: (2, 2)}
"""The successive upsampling factors of each scale."""


def add_skip(image: Tensor, lq: Tensor, scale: int, skip: Skip) -> Tensor:
    """Add the interpolated input to the output (B,C,h*scale,w*scale) of a network; unchanged for skip `none`."""
    return image if skip == "none" else image + upsample(lq, scale, skip)


def upsampler(channels: int, scale: int) -> nn.Sequential:
    """Upsample (B,channels,h,w) -> (B,channels,h*scale,w*scale), by a convolution and a pixel shuffle per step."""
    layers = nn.Sequential()
    for factor in STEPS[scale]:
        layers.append(nn.Conv2d(channels, channels * factor**2, 3, padding=1))
        layers.append(nn.PixelShuffle(factor))
    return layers


def halved(features: Tensor) -> Tensor:
    """Average 2x2 pixels, (B,C,h,w) -> (B,C,ceil(h/2),ceil(w/2)); the last row or column of an odd side is kept."""
    # For an even side, pooling drops the replicated line.
    return functional.avg_pool2d(functional.pad(features, (0, 1, 0, 1), mode="replicate"), 2)
