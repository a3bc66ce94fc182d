"""BSRN: distillation blocks of blueprint separable convolutions, with spatial and channel attention.

Li, Liu, Chen, Cai, Gu, Qiao, Dong: Blueprint Separable Residual Network for Efficient Image Super-Resolution,
CVPRW 2022. Where the paper concatenates parts before a 1x1 convolution, each part has a convolution of its own here
and the results are added: the same weights and sums, which a network of fewer channels or blocks can inherit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowvision import Skip
from lowvision.layers import SplitConv, add_skip, init_kaiming_, init_near_zero_, init_zero_mean_, scale_residual_
from lowvision_efficient.attention import SMALLEST, STEP, WINDOW, at_least, resized

COPIES = 4
"""Copies of the input that the first convolution reads."""
STEPS = 4
"""Parts that a block distils."""
SPATIAL, CHANNEL = 4, 16
"""Hidden width of the two attentions: channels divided by this, at least 1."""
EPSILON = 1e-6
"""Added to a variance, because the square root has no finite gradient at 0, the variance of a flat tile."""


class Network(nn.Module):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(self, *, colours: int, scale: int, channels: int, layers: int, skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        self.head = Separable(COPIES * colours, channels)
        self.blocks = nn.ModuleList(Block(channels) for _ in range(layers))
        self.collect = SplitConv([channels] * layers, channels)
        self.blocks_end = Separable(channels, channels)
        self.last = nn.Conv2d(channels, colours * scale**2, 3, padding=1)
        self.enlarge = nn.PixelShuffle(scale)
        self._initialise()

    def _initialise(self) -> None:
        init_kaiming_(self)
        for module in self.modules():
            if isinstance(module, SplitConv):
                module.share_variance()
            if isinstance(module, Block):
                for part in module.fuse.convolutions():
                    scale_residual_(part)
            if isinstance(module, Separable):
                module.linear()
            if isinstance(module, ContrastAttention):
                module.wake()
        init_near_zero_(self.last)
        if self.skip != "none":
            init_zero_mean_(self.head.depthwise)

    def forward(self, lq: Tensor) -> Tensor:
        features = shallow = self.head(torch.cat([lq] * COPIES, dim=1))  # (B, channels, h, w)
        seen = []
        for block in self.blocks:
            features = block(features)
            seen.append(features)
        features = self.blocks_end(functional.gelu(self.collect(seen))) + shallow
        return add_skip(self.enlarge(self.last(features)), lq, self.scale, self.skip)


class Separable(nn.Module):
    """A 1x1 convolution, then a 3x3 convolution of each channel (blueprint separable convolution)."""

    def __init__(self, into: int, out: int, *, stride: int = 1, padding: int = 1):
        super().__init__()
        self.pointwise = nn.Conv2d(into, out, 1, bias=False)
        self.depthwise = nn.Conv2d(out, out, 3, stride=stride, padding=padding, groups=out)

    def linear(self) -> None:
        """Halve the variance of the 1x1 convolution's output, since no activation follows it."""
        with torch.no_grad():
            self.pointwise.weight.div_(2**0.5)

    def forward(self, features: Tensor) -> Tensor:
        return self.depthwise(self.pointwise(features))


class Block(nn.Module):
    """Distils a half-width part at each step, joins the parts, weighs them twice and adds the input."""

    def __init__(self, channels: int):
        super().__init__()
        half = channels // 2
        self.distil = nn.ModuleList(nn.Conv2d(channels, half, 1) for _ in range(STEPS - 1))
        self.refine = nn.ModuleList(Separable(channels, channels) for _ in range(STEPS - 1))
        self.end = Separable(channels, half)
        self.fuse = SplitConv([half] * STEPS, channels)
        self.spatial = SpatialAttention(channels, max(1, channels // SPATIAL))
        self.channel = ContrastAttention(channels, max(1, channels // CHANNEL))

    def forward(self, features: Tensor) -> Tensor:
        refined, parts = features, []
        for distil, refine in zip(self.distil, self.refine, strict=True):
            parts.append(functional.gelu(distil(refined)))  # (B, C/2, h, w)
            refined = functional.gelu(refine(refined) + refined)  # (B, C, h, w)
        parts.append(functional.gelu(self.end(refined)))
        return features + self.channel(self.spatial(self.fuse(parts)))


class SpatialAttention(nn.Module):
    """The spatial attention of BSRN: three separable convolutions on the pooled map."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.fine = nn.Conv2d(hidden, hidden, 1)
        self.halve = Separable(hidden, hidden, stride=2, padding=0)
        self.pool = nn.MaxPool2d(WINDOW, STEP)
        self.coarse = nn.ModuleList(Separable(hidden, hidden) for _ in range(3))
        self.excite = nn.Conv2d(hidden, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        squeezed = self.squeeze(features)  # (B, hidden, h, w)
        coarse = self.pool(self.halve(at_least(squeezed, SMALLEST)))  # (B, hidden, about h/6, w/6)
        first, second, third = self.coarse
        coarse = third(functional.gelu(second(functional.gelu(first(coarse)))))
        weights = self.excite(resized(coarse, features) + self.fine(squeezed))  # (B, C, h, w)
        return features * weights.sigmoid()


class ContrastAttention(nn.Module):
    """Weighs every channel by mean and standard deviation of all of them."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.excite = nn.Conv2d(hidden, channels, 1)

    def wake(self) -> None:
        """Make all weights that read contrasts positive: otherwise half of the hidden channels would start inactive."""
        with torch.no_grad():
            self.squeeze.weight.abs_()

    def forward(self, features: Tensor) -> Tensor:
        mean = features.mean(dim=(2, 3), keepdim=True)  # (B, C, 1, 1)
        variance = (features - mean).square().mean(dim=(2, 3), keepdim=True)
        hidden = functional.relu(self.squeeze(mean + (variance + EPSILON).sqrt()))
        return features * self.excite(hidden).sigmoid()
