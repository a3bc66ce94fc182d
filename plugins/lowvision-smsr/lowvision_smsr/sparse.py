"""Computes a sparse mask module where its masks keep something, and nowhere else: gather, matrix product, scatter.

Maps lie channels last, within a border of one zero pixel, so that the neighbours of a position are rows at fixed
distances. Positions that are not marked cost nothing but the dense part of dense channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lowvision_smsr.masks import MaskedConvolution
from lowvision_smsr.modules import SparseModule

TAPS = 9
"""Of a 3x3 kernel."""


@dataclass(frozen=True)
class Positions:
    """The N marked positions of a batch, as rows of its maps (B,h+2,w+2,c) taken as (B*(h+2)*(w+2),c)."""

    rows: Tensor
    """(N,)"""
    around: Tensor
    """(9,) how far the neighbours lie, in the order of a kernel's taps."""
    size: tuple[int, int, int]
    """B, h+2, w+2."""

    @classmethod
    def of(cls, marked: Tensor) -> Positions:
        """Those that are True in marked (B,1,h,w)."""
        bordered = functional.pad(marked[:, 0], (1, 1, 1, 1))  # (B, h+2, w+2)
        batch, height, width = bordered.shape
        step = torch.arange(-1, 2, device=marked.device)
        around = (step[:, None] * width + step).flatten()
        return cls(bordered.flatten().nonzero()[:, 0], around, (batch, height, width))

    def gather(self, maps: Tensor) -> Tensor:
        """What maps (B,h+2,w+2,c) have around each position: (N,9*c), taps outside."""
        rows = (self.rows[:, None] + self.around).flatten()
        return maps.flatten(0, 2).index_select(0, rows).view(len(self.rows), TAPS * maps.shape[-1])

    def scatter(self, values: Tensor) -> Tensor:
        """Maps (B,h+2,w+2,c) that have values (N,c) at the positions, and 0 elsewhere."""
        return self._zeros(values).index_copy_(0, self.rows, values).view(*self.size, -1)

    def spread(self, values: Tensor) -> Tensor:
        """Maps (B,h+2,w+2,c) to which each position has added values (N,9,c), one to each pixel whose tap it is."""
        rows = (self.rows[:, None] - self.around).flatten()
        return self._zeros(values).index_add_(0, rows, values.flatten(0, 1)).view(*self.size, -1)

    def _zeros(self, values: Tensor) -> Tensor:
        batch, height, width = self.size
        return values.new_zeros(batch * height * width, values.shape[-1])


@dataclass(frozen=True)
class Split:
    """Features of which some channels are dense and the others sparse."""

    sparse: Tensor
    """(C,) bool: which channels are."""
    dense_maps: Tensor
    """(B,h+2,w+2,d) the dense ones."""
    sparse_values: Tensor
    """(N,s) the sparse ones, at marked positions; they are 0 elsewhere."""


def run(module: SparseModule, features: Tensor, marked: Tensor) -> Tensor:
    """What the module makes of features (B,C,h,w) where marked (B,1,h,w) is True: (B,C,h,w)."""
    positions = Positions.of(marked)
    bordered = functional.pad(features.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    none = torch.zeros(features.shape[1], dtype=torch.bool, device=features.device)
    made = Split(none, bordered, features.new_zeros(len(positions.rows), 0))
    seen = []
    for layer in module.layers():
        made = _convolved(layer, made, positions)
        seen.append(made)
    return features + module.attention(_collected(module, seen, positions).permute(0, 3, 1, 2))


def saving(module: SparseModule) -> int:
    """Multiply-adds that the module does not spend on a position because it is not marked."""
    saved, before = 0, 0  # sparse channels of the layer before
    for layer, part in zip(module.layers(), module.collect.convolutions(), strict=True):
        channels, after = len(layer.logits), int(layer.sparse().sum())
        saved += TAPS * (before * (channels - after) + channels * after)  # from sparse to dense, from all to sparse
        saved += after * part.out_channels
        before = after
    return saved


def _convolved(layer: MaskedConvolution, features: Split, positions: Positions) -> Split:
    weight, sparse = layer.convolution.weight, layer.sparse()
    to_dense, to_sparse = weight[~sparse], weight[sparse]  # (d', C, 3, 3), (s', C, 3, 3)
    from_dense, from_sparse = ~features.sparse, features.sparse
    dense = _everywhere(to_dense[:, from_dense], features.dense_maps)  # (B, h, w, d')
    spread = features.sparse_values @ to_dense[:, from_sparse].permute(1, 2, 3, 0).flatten(1)  # (N, 9*d')
    dense += positions.spread(spread.unflatten(1, (TAPS, -1)))[:, 1:-1, 1:-1]
    values = positions.gather(features.dense_maps) @ _taps_outside(to_sparse[:, from_dense])  # (N, s')
    values += positions.gather(positions.scatter(features.sparse_values)) @ _taps_outside(to_sparse[:, from_sparse])
    return Split(sparse, functional.pad(dense.relu_(), (0, 0, 1, 1, 1, 1)), values.relu_())


def _everywhere(weight: Tensor, maps: Tensor) -> Tensor:
    """The convolution of maps (B,h+2,w+2,d) by weight (d',d,3,3): (B,h,w,d')."""
    if weight.numel() == 0:  # which convolutions do not know
        batch, height, width, _ = maps.shape
        return maps.new_zeros(batch, height - 2, width - 2, len(weight))
    return functional.conv2d(maps.permute(0, 3, 1, 2), weight).permute(0, 2, 3, 1)


def _taps_outside(weight: Tensor) -> Tensor:
    """(s',c,3,3) -> (9*c,s'), as `Positions.gather` puts them."""
    return weight.permute(2, 3, 1, 0).flatten(0, 2)


def _collected(module: SparseModule, seen: Sequence[Split], positions: Positions) -> Tensor:
    """The 1x1 convolution of what all layers made: (B,h,w,C)."""
    parts = module.collect.convolutions()
    weights = [part.weight[:, :, 0, 0] for part in parts]
    of_dense = torch.cat([weight[:, ~made.sparse] for weight, made in zip(weights, seen, strict=True)], dim=1)
    of_sparse = torch.cat([weight[:, made.sparse] for weight, made in zip(weights, seen, strict=True)], dim=1)
    dense = torch.cat([made.dense_maps[:, 1:-1, 1:-1] for made in seen], dim=-1)  # (B, h, w, all d)
    values = torch.cat([made.sparse_values for made in seen], dim=-1)  # (N, all s)
    collected = functional.linear(dense, of_dense, parts[0].bias)
    return collected + positions.scatter(functional.linear(values, of_sparse))[:, 1:-1, 1:-1]
