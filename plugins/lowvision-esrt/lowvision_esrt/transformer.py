"""The transformer of ESRT: neighbourhoods as tokens, one encoder, and attention split into segments.

Attention uses explicit matrix products, not a fused kernel: these matrices are what the paper splits, every exporter
supports them, and their cost is counted equally on every device.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

TAPS = 9
"""Pixels of a 3x3 neighbourhood."""
HEADS = 8
"""Heads of attention, each on an equal share of the channels."""


class Encoder(nn.Module):
    """Attention between the 3x3 neighbourhoods of all pixels: (B,C,h,w) -> (B,C,h,w)."""

    def __init__(self, channels: int, segments: int):
        super().__init__()
        width = TAPS * channels
        # One weight per tap and channel, so that a network of fewer channels can inherit slices.
        self.norm_attention = nn.LayerNorm((TAPS, channels))
        self.attention = SplitAttention(width, segments)
        self.norm_mlp = nn.LayerNorm((TAPS, channels))
        self.mlp = nn.Sequential(nn.Linear(width, width // 4), nn.ReLU(), nn.Linear(width // 4, width))

    def forward(self, features: Tensor) -> Tensor:
        height, width = features.shape[-2:]
        tokens = unfolded(features)  # (B, h*w, 9, C)
        tokens = tokens + by_taps(self.attention(self.norm_attention(tokens).flatten(2)))
        tokens = tokens + by_taps(self.mlp(self.norm_mlp(tokens).flatten(2)))
        return folded(tokens, height, width)


class SplitAttention(nn.Module):
    """The paper's efficient multi-head attention: half as wide as the tokens, and only inside segments.

    (B,N,width) -> (B,N,width). N tokens in S segments need S matrices of N/S x N/S per head, not one of N x N.
    """

    def __init__(self, width: int, segments: int):
        super().__init__()
        self.segments = segments
        inner = HEADS * (width // (2 * HEADS))  # a multiple of HEADS
        self.reduce = nn.Linear(width, inner, bias=False)
        self.query = nn.Linear(inner, inner, bias=False)
        self.key = nn.Linear(inner, inner, bias=False)
        self.value = nn.Linear(inner, inner, bias=False)
        self.expand = nn.Linear(inner, width)

    def forward(self, tokens: Tensor) -> Tensor:
        narrow = self.reduce(tokens)  # (B, N, inner)
        query, key, value = (split_heads(part(narrow)) for part in (self.query, self.key, self.value))
        bounds = [tokens.shape[1] * n // self.segments for n in range(self.segments + 1)]
        parts = [  # each (B, HEADS, N/S, inner/HEADS)
            attend(query[:, :, start:stop], key[:, :, start:stop], value[:, :, start:stop])
            for start, stop in pairwise(bounds)
        ]
        attended = torch.cat(parts, dim=2).permute(0, 2, 3, 1).flatten(2)  # (B, N, inner)
        return self.expand(attended)


def split_heads(tokens: Tensor) -> Tensor:
    """Split (B,N,d*HEADS) to (B,HEADS,N,d); the channels of a head lie HEADS apart, so a leading slice covers all."""
    return tokens.unflatten(-1, (-1, HEADS)).permute(0, 3, 1, 2)


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return softmax(query key^T / sqrt(d)) value; all are (B,HEADS,n,d)."""
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)  # (B, HEADS, n, n)
    return scores.softmax(dim=-1) @ value


def by_taps(output: Tensor) -> Tensor:
    """Reorder (B,N,C*9) to (B,N,9,C): outputs are ordered by channel, then tap, as for a pixel shuffle."""
    return output.unflatten(-1, (-1, TAPS)).transpose(-2, -1)


def unfolded(features: Tensor) -> Tensor:
    """Return the 3x3 neighbourhood of every pixel, zeros outside: (B,C,h,w) -> (B,h*w,9,C)."""
    height, width = features.shape[-2:]
    padded = functional.pad(features, (1, 1, 1, 1))
    taps = [padded[..., row : row + height, column : column + width] for row, column in _offsets()]
    return torch.stack(taps, dim=1).permute(0, 3, 4, 1, 2).flatten(1, 2)


def folded(tokens: Tensor, height: int, width: int) -> Tensor:
    """Return the sum over all neighbourhoods that contain a pixel: (B,h*w,9,C) -> (B,C,h,w)."""
    taps = tokens.unflatten(1, (height, width)).permute(3, 0, 4, 1, 2)  # (9, B, C, h, w)
    placed = [
        functional.pad(tap, (column, 2 - column, row, 2 - row))
        for (row, column), tap in zip(_offsets(), taps.unbind(), strict=True)
    ]
    return sum(placed[1:], placed[0])[..., 1:-1, 1:-1]


def _offsets() -> list[tuple[int, int]]:
    """Return row and column of each tap of a 3x3 neighbourhood."""
    return [(row, column) for row in range(3) for column in range(3)]
