"""RLFN: residual blocks of three convolutions, each followed by a spatial attention.

Kong, Li, Liu, Liu, He, Bai, Chen, Fu: Residual Local Feature Network for Efficient Super-Resolution, CVPRW 2022.
"""

from __future__ import annotations

from torch import Tensor, nn

from lowvision import Skip
from lowvision.layers import add_skip, init_kaiming_, init_near_zero_, init_zero_mean_, scale_residual_
from lowvision_efficient.attention import SpatialAttention

SLOPE = 0.05


class Network(nn.Module):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(self, *, colours: int, scale: int, channels: int, layers: int, hidden: int, skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        self.head = nn.Conv2d(colours, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(channels, hidden) for _ in range(layers)))
        self.blocks_end = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, colours * scale**2, 3, padding=1)
        self.enlarge = nn.PixelShuffle(scale)
        self._initialise()

    def _initialise(self) -> None:
        init_kaiming_(self, SLOPE)
        for module in self.modules():
            if isinstance(module, Block):
                scale_residual_(module.third)
        init_near_zero_(self.last)
        if self.skip != "none":
            init_zero_mean_(self.head)

    def forward(self, lq: Tensor) -> Tensor:
        shallow = self.head(lq)  # (B, channels, h, w)
        features = self.blocks_end(self.blocks(shallow)) + shallow
        return add_skip(self.enlarge(self.last(features)), lq, self.scale, self.skip)


class Block(nn.Module):
    """Three convolutions with activations, the input added, a 1x1 convolution and the attention."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.third = nn.Conv2d(channels, channels, 3, padding=1)
        self.activation = nn.LeakyReLU(SLOPE, inplace=True)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.attention = SpatialAttention(channels, hidden)

    def forward(self, features: Tensor) -> Tensor:
        inner = features
        for convolution in (self.first, self.second, self.third):
            inner = self.activation(convolution(inner))
        return self.attention(self.mix(inner + features))
