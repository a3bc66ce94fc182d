"""The convolutional blocks of ESRT: residual feature blocks, and high-preserving blocks made of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lowvision import upsample
from lowvision.layers import ChannelAttention, SplitConv, halved, scale_residual_

LOW_PASSES = 5
"""Number of times the low-frequency path runs its shared block."""


class Residual(nn.Module):
    """Add two tensors, each times a learned scalar (the paper's adaptive weights)."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = nn.Parameter(torch.ones(()))
        self.added = nn.Parameter(torch.ones(()))

    def forward(self, features: Tensor, change: Tensor) -> Tensor:
        return self.kept * features + self.added * change


class ResidualUnit(nn.Module):
    """Reduce to half of the channels and expand again, with a residual connection."""

    def __init__(self, channels: int):
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 2, 3, padding=1)
        self.activation = nn.PReLU(channels // 2)
        self.expand = nn.Conv2d(channels // 2, channels, 3, padding=1)
        self.weigh = Residual()

    def forward(self, features: Tensor) -> Tensor:
        return self.weigh(features, self.expand(self.activation(self.reduce(features))))


class FeatureBlock(nn.Module):
    """The adaptive residual feature block: two residual units, fusion of both, attention, residual connection."""

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
        """Scale the initial weights of the residual branches by a tenth."""
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
    """Process low frequencies at half the size in five passes, high frequencies at full size; residual connection."""

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
        """Scale the initial weights of the residual branch by a tenth."""
        for part in self.fuse.convolutions():
            scale_residual_(part)

    def forward(self, features: Tensor) -> Tensor:
        start = self.start(features)  # (B, C, h, w)
        low = halved(start)  # (B, C, ceil(h/2), ceil(w/2))
        high = start - doubled(low, start)
        for _ in range(LOW_PASSES):
            low = self.low(low)
        fused = self.activation(self.fuse([doubled(low, start), self.high(high)]))
        return features + self.end(self.attention(fused))


def doubled(half: Tensor, like: Tensor) -> Tensor:
    """Upsample bilinearly by 2, cropped to height and width of `like`."""
    height, width = like.shape[-2:]
    return upsample(half, 2, "bilinear")[..., :height, :width]
