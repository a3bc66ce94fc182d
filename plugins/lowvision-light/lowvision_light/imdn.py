"""IMDN: blocks that distil a quarter of their features at each step (Hui, Gao, Yang, Wang, ACM MM 2019).

The paper splits the channels of one convolution, and concatenates parts before a 1x1 convolution. Here every part has
its own convolution, and the results of the 1x1 convolutions are added: weights and sums are equal. The channels of each
weight belong to one part only, so that a network of fewer channels or blocks can inherit slices.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lowvision import Skip
from lowvision.layers import SplitConv, add_skip, init_kaiming_, init_near_zero_, init_zero_mean_, scale_residual_

SLOPE = 0.05
STEPS = 4
"""Steps of a block; each distils channels // 4 features."""
REDUCTION = 16
"""Channel reduction of the attention: its hidden width is channels // 16, at least 1."""
EPSILON = 1e-6
"""Added to a variance: the square root has no gradient at 0, the variance of a flat tile."""


class Network(nn.Module):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(self, *, colours: int, scale: int, channels: int, layers: int, skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        self.head = nn.Conv2d(colours, channels, 3, padding=1)
        self.blocks = nn.ModuleList(Block(channels) for _ in range(layers))
        self.collect = SplitConv([channels] * layers, channels)
        self.activation = nn.LeakyReLU(SLOPE)
        self.blocks_end = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, colours * scale**2, 3, padding=1)
        self.enlarge = nn.PixelShuffle(scale)
        self._initialise()

    def _initialise(self) -> None:
        init_kaiming_(self, SLOPE)
        for module in self.modules():
            if isinstance(module, SplitConv):
                module.share_variance()
            if isinstance(module, Block):
                for part in module.fuse.convolutions():
                    scale_residual_(part)
            if isinstance(module, ContrastAttention):
                module.wake()
        init_near_zero_(self.last)
        if self.skip != "none":
            init_zero_mean_(self.head)

    def forward(self, lq: Tensor) -> Tensor:
        features = shallow = self.head(lq)  # (B, channels, h, w)
        seen = []
        for block in self.blocks:
            features = block(features)
            seen.append(features)
        features = shallow + self.blocks_end(self.activation(self.collect(seen)))
        image = self.enlarge(self.last(features))  # (B, colours, h*scale, w*scale)
        return add_skip(image, lq, self.scale, self.skip)


class Block(nn.Module):
    """Distil features in four steps, weight them by contrast attention, fuse them; residual connection."""

    def __init__(self, channels: int):
        super().__init__()
        aside = channels // STEPS
        rest = channels - aside
        widths = [channels] + [rest] * (STEPS - 1)
        self.aside = nn.ModuleList(nn.Conv2d(width, aside, 3, padding=1) for width in widths)
        self.rest = nn.ModuleList(nn.Conv2d(width, rest, 3, padding=1) for width in widths[:-1])
        self.activation = nn.LeakyReLU(SLOPE)
        self.attention = ContrastAttention([aside] * STEPS, max(1, channels // REDUCTION))
        self.fuse = SplitConv([aside] * STEPS, channels)

    def forward(self, features: Tensor) -> Tensor:
        rest, parts = features, []
        for aside, onward in zip(self.aside[:-1], self.rest, strict=True):
            parts.append(self.activation(aside(rest)))  # (B, channels // 4, h, w)
            rest = self.activation(onward(rest))  # (B, channels - channels // 4, h, w)
        parts.append(self.aside[-1](rest))
        return features + self.fuse(self.attention(parts))


class ContrastAttention(nn.Module):
    """Weight every channel of several parts by mean and standard deviation of all channels."""

    def __init__(self, widths: Sequence[int], hidden: int):
        super().__init__()
        self.squeeze = SplitConv(widths, hidden)
        self.activation = nn.ReLU(inplace=True)
        self.excite = nn.ModuleList(nn.Conv2d(hidden, width, 1) for width in widths)

    def wake(self) -> None:
        """Make all weights that read contrasts positive.

        Contrasts are rarely negative; with weights of both signs half of the few hidden channels would start, and stay,
        inactive for every image.
        """
        with torch.no_grad():
            for part in self.squeeze.convolutions():
                part.weight.abs_()

    def forward(self, parts: Sequence[Tensor]) -> list[Tensor]:
        hidden = self.activation(self.squeeze([contrast(part) for part in parts]))  # (B, hidden, 1, 1)
        return [part * excite(hidden).sigmoid() for part, excite in zip(parts, self.excite, strict=True)]


def contrast(features: Tensor) -> Tensor:
    """Return mean plus standard deviation of each channel: (B,C,h,w) -> (B,C,1,1)."""
    mean = features.mean(dim=(2, 3), keepdim=True)
    variance = (features - mean).square().mean(dim=(2, 3), keepdim=True)
    return mean + (variance + EPSILON).sqrt()
