"""The sparse mask module of SMSR."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lowvision.layers import ChannelAttention, SplitConv, scale_residual_
from lowvision_smsr.masks import MaskedConvolution, SpatialMask, hard, kept_share, soft

CONVOLUTIONS = 4
"""Masked convolutions of a module, all under one spatial mask."""


class SparseModule(nn.Module):
    """Four masked convolutions, a 1x1 convolution that collects all their outputs, channel attention, and the input."""

    def __init__(self, channels: int):
        super().__init__()
        self.mask = SpatialMask(channels)
        self.body = nn.ModuleList(MaskedConvolution(channels) for _ in range(CONVOLUTIONS))
        self.collect = SplitConv([channels] * CONVOLUTIONS, channels)
        self.attention = ChannelAttention(channels)

    def scale_residual_(self) -> None:
        """Let what is added to its input start ten times weaker."""
        self.collect.share_variance()
        for part in self.collect.convolutions():
            scale_residual_(part)

    def layers(self) -> list[MaskedConvolution]:
        """The masked convolutions, first to last."""
        return [layer for layer in self.body if isinstance(layer, MaskedConvolution)]

    def forward(self, features: Tensor) -> Tensor:
        """With hard masks."""
        marked = hard(self.mask(features), 1).to(features.dtype)  # (B, 1, h, w)
        sparse = [layer.sparse().to(features.dtype) for layer in self.layers()]
        return self._masked(features, marked, sparse)

    def learn(self, features: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
        """With soft masks, drawn at that temperature; also the share of its feature maps that they keep."""
        marked = soft(self.mask(features), 1, tau)  # (B, 1, h, w)
        sparse = [soft(layer.logits, 1, tau)[:, 0] for layer in self.layers()]
        kept = torch.stack([kept_share(marked, channels) for channels in sparse]).mean()
        return self._masked(features, marked, sparse), kept

    def _masked(self, features: Tensor, marked: Tensor, sparse: list[Tensor]) -> Tensor:
        made, seen = features, []
        for layer, channels in zip(self.layers(), sparse, strict=True):
            made = layer(made, marked, channels)
            seen.append(made)
        return features + self.attention(self.collect(seen))
