"""PlainUSR: blocks of plain convolutions, which carry the image next to the features.

Wang, Zhang, Xu, Ren: PlainUSR: Chasing Faster ConvNet for Efficient Super-Resolution, ACCV 2024. This is the form
without parallel branches, in which the authors publish their weights. Their first and last convolutions also read and
write the image; here the image has separate convolutions, with the same weights and the same result. A network
with fewer channels can then inherit them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowvision import Skip
from lowvision.layers import (
    Leading,
    SplitConv,
    add_skip,
    init_kaiming_,
    init_near_zero_,
    init_zero_mean_,
    scale_residual_,
)
from lowvision_efficient.attention import STEP, WINDOW, at_least, resized

SLOPE = 0.05
ATTENDED = 2.5
"""Factor of the initial weights before an attention, whose two sigmoids start at about a half each."""
LARGEST = 60.0
"""Largest exponent of a weight: float32 overflows at 88, and the weight is multiplied by the feature itself."""


class Network(nn.Module):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(self, *, colours: int, scale: int, channels: int, blocks: Sequence[Block], skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        self.head = nn.Conv2d(colours, channels, 3, padding=1)
        self.carry = nn.Conv2d(colours, colours, 3, padding=1)
        self.blocks = nn.Sequential(*blocks)
        self.last = SplitConv([channels, colours], colours * scale**2, kernel=3)
        self.enlarge = nn.PixelShuffle(scale)
        self._initialise()

    def _initialise(self) -> None:
        init_kaiming_(self, SLOPE)
        for block in self.blocks:
            if isinstance(block, Block):
                block.strengthen()
        nn.init.dirac_(self.carry.weight)
        for part in self.last.convolutions():
            init_near_zero_(part)
        if self.skip == "none":
            self._repeat_image()
        else:
            init_zero_mean_(self.head)

    def _repeat_image(self) -> None:
        """Start as interpolation by the nearest neighbour: every subpixel is the image's own pixel."""
        image = self.last.convolutions()[1].weight  # (colours * scale^2, colours, 3, 3)
        colours = image.shape[1]
        with torch.no_grad():
            image[:, :, 1, 1] += torch.eye(colours, device=image.device).repeat_interleave(self.scale**2, dim=0)

    def forward(self, lq: Tensor) -> Tensor:
        features = self.blocks(self.head(lq))  # (B, channels, h, w)
        return add_skip(self.enlarge(self.last([features, self.carry(lq)])), lq, self.scale, self.skip)


class Block(nn.Module):
    """Convolutions with activations between them and an attention, on the first `width` channels."""

    def __init__(self, width: int, convolutions: int, attention: nn.Module):
        super().__init__()
        self.own = Leading(width)
        self.convolutions = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(convolutions))
        self.activation = nn.LeakyReLU(SLOPE, inplace=True)
        self.attention = attention

    def strengthen(self) -> None:
        """Make up for the attention, if there is one."""
        if not isinstance(self.attention, nn.Identity):
            with torch.no_grad():
                for parameter in self.convolutions[-1].parameters():
                    parameter.mul_(ATTENDED)  # the bias is 0
        if isinstance(self.attention, PooledAttention):
            scale_residual_(self.attention.squeeze)  # exponentials follow

    def forward(self, features: Tensor) -> Tensor:
        first, *others = self.convolutions
        inner = first(self.own(features))
        for convolution in others:
            inner = convolution(self.activation(inner))
        inner = self.attention(inner)  # (B, width, h, w)
        rest = features[:, self.own.width :]
        return torch.cat((inner, rest), dim=1) if rest.shape[1] else inner


class LocalAttention(nn.Module):
    """Weighs features by their first channel and by a 3x3 convolution of them."""

    def __init__(self, width: int):
        super().__init__()
        self.gate = Leading(1)
        self.weigh = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        return features * self.gate(features).sigmoid() * self.weigh(features).sigmoid()


class PooledAttention(nn.Module):
    """Weighs features by their first channel and by a coarse map of where they are strong."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.gate = Leading(1)
        self.squeeze = nn.Conv2d(width, hidden, 1)
        self.coarse = nn.Conv2d(hidden, hidden, 3, stride=2, padding=1)
        self.excite = nn.Conv2d(hidden, width, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        pooled = soft_pooled(at_least(self.squeeze(features), WINDOW))  # (B, hidden, about h/3, w/3)
        weights = resized(self.excite(self.coarse(pooled)).sigmoid(), features)
        return features * weights * self.gate(features).sigmoid()


def soft_pooled(features: Tensor) -> Tensor:
    """Return the mean over windows of 7x7 at a step of 3, in which larger values weigh exponentially more.

    Computed at least in float32, with exponents within +-LARGEST, because larger ones overflow float32 or give 0/0.
    """
    wide = features.to(torch.promote_types(features.dtype, torch.float32))
    weights = wide.clamp(-LARGEST, LARGEST).exp()
    pooled = functional.avg_pool2d(weights * wide, WINDOW, STEP) / functional.avg_pool2d(weights, WINDOW, STEP)
    return pooled.to(features.dtype)
