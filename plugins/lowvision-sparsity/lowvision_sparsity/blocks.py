"""Division of a weight into blocks (Yao et al., Balanced Sparsity for Efficient DNN Inference on GPU).

A weight is a matrix with one row per output channel, (out, in*kh*kw); every row is divided into equal blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

Layer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
"""Layers whose weights can be pruned."""


@dataclass(frozen=True)
class Blocks:
    """Division and sparsity of one layer's weight."""

    size: int
    """Weights per block; a divisor of the row."""
    kept: int
    """Non-zero weights per block, at least 1."""
    groups: int
    """Groups of a transposed convolution, whose weight is (in, out/groups, kh, kw); 0: rows are the first axis."""

    @classmethod
    def of(cls, layer: Layer, sparsity: float, size: int) -> Blocks:
        """Return blocks of that size, or of the nearest divisor of the layer's row, with that fraction of zeros."""
        groups = layer.groups if isinstance(layer, nn.ConvTranspose2d) else 0
        row = layer.weight.numel() // (layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels)
        fitting = nearest_divisor(row, size)
        return cls(fitting, kept_of(fitting, sparsity), groups)

    @property
    def sparsity(self) -> float:
        """Fraction of zeros after rounding to whole weights."""
        return 1 - self.kept / self.size

    def cut(self, weight: Tensor) -> Tensor:
        """Reshape a weight, or a tensor of its shape, to (out, blocks, size)."""
        if self.groups:  # (in, out/groups, kh, kw) -> (out, in/groups, kh, kw)
            weight = weight.unflatten(0, (self.groups, -1)).transpose(1, 2).flatten(0, 1)
        return weight.flatten(1).unflatten(1, (-1, self.size))

    def join(self, blocks: Tensor, shape: torch.Size) -> Tensor:
        """Invert `cut`: reshape to `shape`."""
        if not self.groups:
            return blocks.reshape(shape)
        rows = blocks.reshape(self.groups, shape[1], shape[0] // self.groups, *shape[2:])
        return rows.transpose(1, 2).reshape(shape)

    def ranks(self, weight: Tensor) -> Tensor:
        """Return the rank of each weight in its block by magnitude: 0 for the largest, up to size-1."""
        order = self.cut(weight.detach()).abs().argsort(dim=-1, descending=True, stable=True)
        return self.join(order.argsort(dim=-1), weight.shape)


def kept_of(size: int, sparsity: float) -> int:
    """Return the number of non-zeros among `size` weights, at least 1."""
    return max(1, size - round(sparsity * size))


def nearest_divisor(row: int, size: int) -> int:
    """Return the divisor of `row`, larger than 1 if possible, nearest to `size` by ratio; the smaller one on a tie."""
    divisors = [d for d in range(2, row + 1) if row % d == 0] or [row]
    return min(divisors, key=lambda d: max(d / size, size / d))
