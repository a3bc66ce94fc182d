"""SPAN: blocks that weigh their output by its own sigmoid, an attention without parameters.

Wan, Yu, Yu, Zhang et al.: Swift Parameter-free Attention Network for Efficient Super-Resolution, CVPRW 2024.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lowvision import Skip
from lowvision.layers import MeanShift, add_skip, init_kaiming_, init_near_zero_, init_zero_mean_, scale_residual_
from lowvision_efficient import Colour
from lowvision_efficient.reparam import Conv3XC

WHITE = 255.0
"""Value of white inside the network. With smaller features the attention, which is near 0 around 0, lets none pass."""
SILU_GAIN_SLOPE = 0.3
"""Negative slope of the leaky ReLU whose variance SiLU comes closest to, for the initial weights."""
KEPT = 4
"""Feature maps that the 1x1 convolution before the last one reads."""

Convolution = Callable[[int, int], nn.Module]
"""Makes a 3x3 convolution of an input width and an output width."""


class Network(nn.Module):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(
        self, *, colours: int, scale: int, channels: int, layers: int, branches: bool, mean: Colour, skip: Skip
    ):
        super().__init__()
        self.scale, self.skip = scale, skip
        convolution: Convolution = Conv3XC if branches else plain
        self.mean = MeanShift(colours, mean)
        self.head = convolution(colours, channels)
        self.blocks = nn.ModuleList(Block(channels, convolution) for _ in range(layers))
        self.blocks_end = convolution(channels, channels)
        self.collect = nn.Conv2d(KEPT * channels, channels, 1)
        self.last = nn.Conv2d(channels, colours * scale**2, 3, padding=1)
        self.enlarge = nn.PixelShuffle(scale)
        self._initialise()

    def _initialise(self) -> None:
        init_kaiming_(self, SILU_GAIN_SLOPE)
        for module in self.modules():
            if isinstance(module, Conv3XC):
                scale_residual_(module.project)
        init_near_zero_(self.last)
        with torch.no_grad():
            self.last.weight.div_(WHITE)
        if self.skip != "none" and isinstance(self.head, nn.Conv2d):
            init_zero_mean_(self.head)

    def forward(self, lq: Tensor) -> Tensor:
        features = shallow = self.head(self.mean.sub(lq) * WHITE)  # (B, channels, h, w)
        first = inner = shallow
        for number, block in enumerate(self.blocks):
            features, inner = block(features)
            first = features if number == 0 else first
        kept = torch.cat((shallow, self.blocks_end(features), first, inner), dim=1)  # (B, 4 * channels, h, w)
        return add_skip(self.enlarge(self.last(self.collect(kept))), lq, self.scale, self.skip)


class Block(nn.Module):
    """Three convolutions, weighted by the sigmoid of their output; also returns the activation of the first one."""

    def __init__(self, channels: int, convolution: Convolution):
        super().__init__()
        self.first = convolution(channels, channels)
        self.second = convolution(channels, channels)
        self.third = convolution(channels, channels)
        self.activation = nn.SiLU()

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        first = self.activation(self.first(features))
        third = self.third(self.activation(self.second(first)))
        return (third + features) * (third.sigmoid() - 0.5), first


def plain(into: int, out: int) -> nn.Conv2d:
    """Make the 3x3 convolution of a network in plain form."""
    return nn.Conv2d(into, out, 3, padding=1)
