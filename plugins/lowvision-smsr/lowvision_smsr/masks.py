"""The masks of SMSR: which positions and which channels matter, soft while they are learned and hard afterwards.

A position is marked or not, a channel is dense or sparse. Dense channels are computed everywhere, sparse ones at marked
positions only: of a map, `kept` is 1 there and 0 elsewhere.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowvision.layers import halved


class SpatialMask(nn.Module):
    """Features (B,C,h,w) -> logits (B,2,h,w) of each position: unmarked, marked. It works at half the size."""

    def __init__(self, channels: int):
        super().__init__()
        hidden = max(1, channels // 4)
        self.start = nn.Conv2d(channels, hidden, 3, padding=1)
        self.inner = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.last = nn.ConvTranspose2d(hidden, 2, 3, stride=2, padding=1, output_padding=1)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        height, width = features.shape[-2:]
        half = halved(self.activation(self.start(features)))  # (B, hidden, ceil(h/2), ceil(w/2))
        return self.last(self.activation(self.inner(half)))[..., :height, :width]


class MaskedConvolution(nn.Module):
    """A 3x3 convolution and ReLU of which sparse channels are zero where positions are not marked."""

    def __init__(self, channels: int):
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.activation = nn.ReLU(inplace=True)
        self.logits = nn.Parameter(torch.rand(channels, 2))
        """Of each channel: dense, sparse."""

    def sparse(self) -> Tensor:
        """(C,) bool: whether a channel is sparse."""
        return hard(self.logits, 1)[:, 0]

    def forward(self, features: Tensor, marked: Tensor, sparse: Tensor) -> Tensor:
        """marked (B,1,h,w) and sparse (C,) in [0,1]."""
        kept = 1 - sparse[:, None, None] * (1 - marked)  # (B, C, h, w)
        return self.activation(self.convolution(features) * kept)


def hard(logits: Tensor, dim: int, offset: float | Tensor = 0.0) -> Tensor:
    """Whether the second of two logits along `dim`, plus the offset, is the larger; that dimension is 1 then."""
    first, second = logits.split(1, dim)
    return second + offset > first


def soft(logits: Tensor, dim: int, tau: Tensor) -> Tensor:
    """A draw of how much the second of two logits along `dim` is the larger, in [0,1] (Gumbel-softmax)."""
    return functional.gumbel_softmax(logits, tau, dim=dim).narrow(dim, 1, 1)  # type: ignore[arg-type]  # a tensor divides as well


def kept_share(marked: Tensor, sparse: Tensor) -> Tensor:
    """The mean over positions and channels of `kept`: (), in [0,1]."""
    return 1 - sparse.mean() * (1 - marked.mean())
