"""Blocks that several networks share: residual, channel attention, split convolution, hourglass."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution, plus the input."""

    def __init__(self, channels: int):
        super().__init__()
        self.start = nn.Conv2d(channels, channels, 3, padding=1)
        self.activation = nn.ReLU(inplace=True)
        self.end = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.end(self.activation(self.start(features)))


REDUCTION = 16
"""Divisor of the channels for the hidden width of a channel attention, which is at least 1."""
SLOPE = 0.1
"""Negative slope of the activation of a channel attention: with so few hidden channels none may die."""


class ChannelAttention(nn.Module):
    """Weight every channel by a function of the means of all channels."""

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


class SplitConv(nn.Module):
    """The convolution of concatenated parts, as a sum of one convolution per part; the first has the bias, if any.

    A reducer can then slice each part; in a concatenation it could not separate the parts.
    """

    def __init__(self, widths: Sequence[int], out: int, kernel: int = 1, bias: bool = True):
        super().__init__()
        self.parts = nn.ModuleList(
            nn.Conv2d(width, out, kernel, padding=kernel // 2, bias=bias and n == 0) for n, width in enumerate(widths)
        )

    def share_variance(self) -> None:
        """Rescale the weights, which were initialised per part, to the fan-in of all parts together."""
        with torch.no_grad():
            for part in self.convolutions():
                part.weight.div_(len(self.parts) ** 0.5)

    def convolutions(self) -> list[nn.Conv2d]:
        """Return the convolution of each part."""
        return [part for part in self.parts if isinstance(part, nn.Conv2d)]

    def forward(self, parts: Sequence[Tensor]) -> Tensor:
        first, *others = (convolution(part) for convolution, part in zip(self.parts, parts, strict=True))
        return sum(others, first)


HOURGLASS_SLOPE = 0.25
"""Initial slope of PReLU."""


def hourglass(colours: int, channels: int, shrink: int, layers: int) -> nn.Sequential:
    """Map images (B,colours,h,w) to features (B,channels,h,w), by `layers` convolutions of `shrink` channels."""
    return nn.Sequential(
        nn.Conv2d(colours, channels, 5, padding=2),
        nn.PReLU(init=HOURGLASS_SLOPE),
        nn.Conv2d(channels, shrink, 1),
        nn.PReLU(init=HOURGLASS_SLOPE),
        # No activation between the mapping layers, as in the reference code of the published results.
        *(nn.Conv2d(shrink, shrink, 3, padding=1) for _ in range(layers)),
        nn.PReLU(init=HOURGLASS_SLOPE),
        nn.Conv2d(shrink, channels, 1),
        nn.PReLU(init=HOURGLASS_SLOPE),
    )
