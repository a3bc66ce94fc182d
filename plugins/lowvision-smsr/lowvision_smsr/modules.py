"""The sparse mask module of SMSR."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lowvision.layers import ChannelAttention, SplitConv, scale_residual_
from lowvision_smsr.masks import MaskedConvolution, SpatialMask, hard, kept_share, soft

CONVOLUTIONS = 4
"""Masked convolutions of a module, all under one spatial mask."""


class SparseModule(nn.Module):
    """Four masked convolutions, a 1x1 convolution of all their outputs, channel attention, residual connection."""

    def __init__(self, channels: int):
        super().__init__()
        self.mask = SpatialMask(channels)
        self.body = nn.ModuleList(MaskedConvolution(channels) for _ in range(CONVOLUTIONS))
        self.collect = SplitConv([channels] * CONVOLUTIONS, channels)
        self.attention = ChannelAttention(channels)

    def scale_residual_(self) -> None:
        """Scale the initial weights of the residual branch by a tenth."""
        self.collect.share_variance()
        for part in self.collect.convolutions():
            scale_residual_(part)

    def layers(self) -> list[MaskedConvolution]:
        """Return the masked convolutions in order."""
        return [layer for layer in self.body if isinstance(layer, MaskedConvolution)]

    def forward(self, features: Tensor) -> Tensor:
        """Apply the module with hard masks."""
        marked = hard(self.mask(features), 1).to(features.dtype)  # (B, 1, h, w)
        sparse = [layer.sparse().to(features.dtype) for layer in self.layers()]
        return self._masked(features, marked, sparse)

    def learn(self, features: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
        """Apply the module with soft masks at temperature `tau`; return also the fraction that they keep."""
        marked = soft(self.mask(features), 1, tau)  # (B, 1, h, w)
        sparse = [soft(layer.logits, 1, tau)[:, 0] for layer in self.layers()]
        kept = torch.stack([kept_share(marked, channels) for channels in sparse]).mean()
        return self._masked(features, marked, sparse), kept

    def _masked(self, features: Tensor, marked: Tensor, sparse: list[Tensor]) -> Tensor:
        output, outputs = features, []
        for layer, channels in zip(self.layers(), sparse, strict=True):
            output = layer(output, marked, channels)
            outputs.append(output)
        return features + self.attention(self.collect(outputs))
