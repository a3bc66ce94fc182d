"""Channel attention: every channel is weighed by what the means of all of them say."""

from __future__ import annotations

from torch import Tensor, nn

REDUCTION = 16
"""The hidden width of a channel attention is channels // 16, at least 1."""
SLOPE = 0.1
"""Of a channel attention's activation: of so few hidden channels none may die."""


class ChannelAttention(nn.Module):
    """Weighs every channel by what the means of all of them say."""

    def __init__(self, channels: int):
        super().__init__()
        hidden = max(1, channels // REDUCTION)
        self.weights = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, hidden, 1),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(hidden, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        return features * self.weights(features)  # (B, C, h, w) * (B, C, 1, 1)
