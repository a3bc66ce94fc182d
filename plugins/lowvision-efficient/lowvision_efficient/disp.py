"""DISP: plain 3x3 convolutions and SiLU in residual blocks (NTIRE 2026 challenge on efficient super-resolution)."""

from __future__ import annotations

from torch import Tensor, nn

from lowvision import Skip
from lowvision.layers import add_skip, init_kaiming_, init_near_zero_, init_zero_mean_, scale_residual_

SILU_GAIN_SLOPE = 0.3
"""Negative slope of the leaky ReLU whose variance SiLU comes closest to, for the initial weights."""
CONVOLUTIONS = 4
"""Convolutions in a block."""


class Network(nn.Module):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(self, *, colours: int, scale: int, channels: int, layers: int, unshuffle: int, skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        self.reduce = nn.PixelUnshuffle(unshuffle)
        self.head = nn.Conv2d(colours * unshuffle**2, channels, 3, padding=1)
        self.blocks = nn.ModuleList(Block(channels) for _ in range(layers))
        self.collect = nn.Conv2d(channels, channels, 1)
        self.last = nn.Conv2d(channels, colours * (scale * unshuffle) ** 2, 3, padding=1)
        self.enlarge = nn.PixelShuffle(scale * unshuffle)
        self._initialise()

    def _initialise(self) -> None:
        init_kaiming_(self, SILU_GAIN_SLOPE)
        for module in self.modules():
            if isinstance(module, Block):
                scale_residual_(module.end)
        init_near_zero_(self.last)
        if self.skip != "none":
            init_zero_mean_(self.head)

    def forward(self, lq: Tensor) -> Tensor:
        features = shallow = self.head(self.reduce(lq))  # (B, channels, h/unshuffle, w/unshuffle)
        for block in self.blocks:
            features = block(features)
        features = self.collect(features) + shallow
        return add_skip(self.enlarge(self.last(features)), lq, self.scale, self.skip)


class Block(nn.Module):
    """Four convolutions, each followed by SiLU, with a residual connection."""

    def __init__(self, channels: int):
        super().__init__()
        self.start = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(CONVOLUTIONS - 1))
        self.end = nn.Conv2d(channels, channels, 3, padding=1)
        self.activation = nn.SiLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        inner = features
        for convolution in (*self.start, self.end):
            inner = self.activation(convolution(inner))
        return features + inner
