"""ESPCN: all convolutions at the small size, then a pixel shuffle (Shi et al., CVPR 2016)."""

from __future__ import annotations

from torch import Tensor, nn

from lowvision import Skip
from lowvision.layers import add_skip, init_kaiming_, init_near_zero_, init_zero_mean_

SLOPE = 1.0
"""Slope of tanh at 0: the initial weights are scaled as if there were no activation."""


class Network(nn.Module):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(self, *, colours: int, scale: int, channels: int, layers: int, skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        half = channels // 2
        first = nn.Conv2d(colours, channels, 5, padding=2)
        self.first = nn.Sequential(first, nn.Tanh())
        self.enter = nn.Sequential(nn.Conv2d(channels, half, 3, padding=1), nn.Tanh())
        self.mapping = nn.Sequential()
        for _ in range(layers - 1):
            self.mapping.append(nn.Conv2d(half, half, 3, padding=1))
            self.mapping.append(nn.Tanh())
        self.last = nn.Conv2d(half, colours * scale**2, 3, padding=1)
        self.enlarge = nn.PixelShuffle(scale)
        init_kaiming_(self, SLOPE)
        init_near_zero_(self.last)
        if skip != "none":
            init_zero_mean_(first)

    def forward(self, lq: Tensor) -> Tensor:
        features = self.mapping(self.enter(self.first(lq)))  # (B, channels / 2, h, w)
        return add_skip(self.enlarge(self.last(features)), lq, self.scale, self.skip)
