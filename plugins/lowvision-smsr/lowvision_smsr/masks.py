"""The masks of SMSR over positions and channels: soft in training, hard in inference.

A position is marked or not; a channel is dense or sparse. Dense channels are computed everywhere, sparse channels only
at marked positions: `kept` is 1 where a feature map is computed, and 0 elsewhere.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowvision.layers import halved


class SpatialMask(nn.Module):
    """Features (B,C,h,w) -> logits (B,2,h,w) of each position: unmarked, marked. Computed at half the size."""

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
    """A 3x3 convolution and ReLU whose sparse channels are zero at unmarked positions."""

    def __init__(self, channels: int):
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.activation = nn.ReLU(inplace=True)
        self.logits = nn.Parameter(torch.rand(channels, 2))
        """(C,2): dense, sparse."""

    def sparse(self) -> Tensor:
        """Return (C,) the mask of sparse channels."""
        return hard(self.logits, 1)[:, 0]

    def forward(self, features: Tensor, marked: Tensor, sparse: Tensor) -> Tensor:
        """marked (B,1,h,w) and sparse (C,) in [0,1]."""
        kept = 1 - sparse[:, None, None] * (1 - marked)  # (B, C, h, w)
        return self.activation(self.convolution(features) * kept)


def hard(logits: Tensor, dim: int, offset: float | Tensor = 0.0) -> Tensor:
    """Return True where the second of two logits along `dim`, plus the offset, is larger; `dim` then has size 1."""
    first, second = logits.split(1, dim)
    return second + offset > first


def soft(logits: Tensor, dim: int, tau: Tensor) -> Tensor:
    """Sample a soft decision for the second of two logits along `dim`, in [0,1] (Gumbel-softmax)."""
    return functional.gumbel_softmax(logits, tau, dim=dim).narrow(dim, 1, 1)  # type: ignore[arg-type]  # a tensor works


def kept_share(marked: Tensor, sparse: Tensor) -> Tensor:
    """Return the mean of `kept` over positions and channels, a scalar in [0,1]."""
    return 1 - sparse.mean() * (1 - marked.mean())
