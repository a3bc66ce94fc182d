"""The convolutional blocks of ESRT: residual feature blocks, and high-preserving blocks made of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lowvision import upsample
from lowvision.layers import ChannelAttention, SplitConv, halved, scale_residual_

TURNS = 5
"""How often the low path goes through its one block."""


class Residual(nn.Module):
    """Adds two tensors, each times a number that is learned (the paper's adaptive weights)."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = nn.Parameter(torch.ones(()))
        self.added = nn.Parameter(torch.ones(()))

    def forward(self, features: Tensor, change: Tensor) -> Tensor:
        return self.kept * features + self.added * change


class ResidualUnit(nn.Module):
    """To half of the channels and back, and the input added."""

    def __init__(self, channels: int):
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 2, 3, padding=1)
        self.activation = nn.PReLU(channels // 2)
        self.expand = nn.Conv2d(channels // 2, channels, 3, padding=1)
        self.weigh = Residual()

    def forward(self, features: Tensor) -> Tensor:
        return self.weigh(features, self.expand(self.activation(self.reduce(features))))


class FeatureBlock(nn.Module):
    """The adaptive residual feature block: two residual units, both outputs fused and attended, and the input added."""

    def __init__(self, channels: int):
        super().__init__()
        self.units = nn.ModuleList(ResidualUnit(channels) for _ in range(2))
        self.weights = nn.ParameterList(torch.ones(()) for _ in range(2))
        self.fuse = SplitConv([channels] * 2, channels, kernel=1, bias=False)
        self.activation = nn.ReLU(inplace=True)
        self.attention = ChannelAttention(channels)
        self.end = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.weigh = Residual()

    def scale_residual_(self) -> None:
        """Let residual branches start ten times weaker."""
        for unit in self.units:
            assert isinstance(unit, ResidualUnit)
            scale_residual_(unit.expand)
        scale_residual_(self.end)

    def forward(self, features: Tensor) -> Tensor:
        seen, unit_output = [], features
        for unit, weight in zip(self.units, self.weights, strict=True):
            unit_output = unit(unit_output)
            seen.append(weight * unit_output)
        return self.weigh(features, self.end(self.attention(self.activation(self.fuse(seen)))))


class HighPreserving(nn.Module):
    """Takes low frequencies through five turns at half the size, high ones around them, and adds the input."""

    def __init__(self, channels: int):
        super().__init__()
        self.start = FeatureBlock(channels)
        self.low = FeatureBlock(channels)
        self.high = FeatureBlock(channels)
        self.fuse = SplitConv([channels] * 2, channels, kernel=1, bias=False)
        self.activation = nn.ReLU(inplace=True)
        self.attention = ChannelAttention(channels)
        self.end = FeatureBlock(channels)

    def scale_residual_(self) -> None:
        """Let what is added to its input start ten times weaker."""
        for part in self.fuse.convolutions():
            scale_residual_(part)

    def forward(self, features: Tensor) -> Tensor:
        start = self.start(features)  # (B, C, h, w)
        low = halved(start)  # (B, C, ceil(h/2), ceil(w/2))
        high = start - doubled(low, start)
        for _ in range(TURNS):
            low = self.low(low)
        fused = self.activation(self.fuse([doubled(low, start), self.high(high)]))
        return features + self.end(self.attention(fused))


def doubled(half: Tensor, like: Tensor) -> Tensor:
    """Twice the size, bilinear, and what an odd size has too much cut off: height and width of `like`."""
    height, width = like.shape[-2:]
    return upsample(half, 2, "bilinear")[..., :height, :width]
