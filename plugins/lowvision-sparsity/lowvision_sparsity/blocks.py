"""The blocks of a weight, and how many of each stay (Yao et al., Balanced Sparsity for Efficient DNN Inference on GPU).

A weight is a matrix with a row for each channel that it makes, (out, in*kh*kw); every row is divided into equal blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

Layer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
"""What has a weight that can become sparse."""


@dataclass(frozen=True)
class Blocks:
    """How the weight of one layer is divided, and how far it is pruned."""

    size: int
    """Weights in a block; divides the row."""
    kept: int
    """Of these, so many stay: at least 1."""
    groups: int
    """Of a transposed convolution, whose weight is (in, out/groups, kh, kw); 0: rows lie along the first axis."""

    @classmethod
    def of(cls, layer: Layer, sparsity: float, size: int) -> Blocks:
        """Blocks of that size, or of the nearest that divides the layer's row, with that share of zeros."""
        groups = layer.groups if isinstance(layer, nn.ConvTranspose2d) else 0
        row = layer.weight.numel() // (layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels)
        fitting = nearest_divisor(row, size)
        return cls(fitting, kept_of(fitting, sparsity), groups)

    @property
    def sparsity(self) -> float:
        """The share of zeros that comes of whole weights."""
        return 1 - self.kept / self.size

    def cut(self, weight: Tensor) -> Tensor:
        """A weight, or something of its shape, as (out, blocks, size)."""
        if self.groups:  # (in, out/groups, kh, kw) -> (out, in/groups, kh, kw)
            weight = weight.unflatten(0, (self.groups, -1)).transpose(1, 2).flatten(0, 1)
        return weight.flatten(1).unflatten(1, (-1, self.size))

    def join(self, blocks: Tensor, shape: torch.Size) -> Tensor:
        """The inverse of `cut`: of shape `shape` again."""
        if not self.groups:
            return blocks.reshape(shape)
        rows = blocks.reshape(self.groups, shape[1], shape[0] // self.groups, *shape[2:])
        return rows.transpose(1, 2).reshape(shape)

    def ranks(self, weight: Tensor) -> Tensor:
        """Of each weight the number of those in its block that are larger in magnitude: 0 .. size-1, each once."""
        order = self.cut(weight.detach()).abs().argsort(dim=-1, descending=True, stable=True)
        return self.join(order.argsort(dim=-1), weight.shape)


def kept_of(size: int, sparsity: float) -> int:
    """How many of `size` weights stay where that share of them becomes zero."""
    return max(1, size - round(sparsity * size))


def nearest_divisor(row: int, size: int) -> int:
    """The divisor of `row`, larger than 1 if it has one, that is nearest to `size` by ratio; of two the smaller one."""
    divisors = [d for d in range(2, row + 1) if row % d == 0] or [row]
    return min(divisors, key=lambda d: max(d / size, size / d))
