"""Blocks that add their input to what they make of it."""

from __future__ import annotations

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution, and the input added."""

    def __init__(self, channels: int):
        super().__init__()
        self.start = nn.Conv2d(channels, channels, 3, padding=1)
        self.activation = nn.ReLU(inplace=True)
        self.end = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.end(self.activation(self.start(features)))
