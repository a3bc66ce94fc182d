"""Sparse computation of a mask module: gather, matrix product, scatter.

Maps are channels last with a border of one zero pixel, so that the neighbours of a position are rows at fixed offsets.
Unmarked positions cost only the dense-to-dense part.
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
"""Taps of a 3x3 kernel."""


@dataclass(frozen=True)
class Positions:
    """The N marked positions of a batch, as rows of its maps (B,h+2,w+2,c) taken as (B*(h+2)*(w+2),c)."""

    rows: Tensor
    """(N,)"""
    around: Tensor
    """(9,) row offsets of the neighbours, in the order of the kernel's taps."""
    size: tuple[int, int, int]
    """B, h+2, w+2."""

    @classmethod
    def of(cls, marked: Tensor) -> Positions:
        """Return the positions that are True in marked (B,1,h,w)."""
        bordered = functional.pad(marked[:, 0], (1, 1, 1, 1))  # (B, h+2, w+2)
        batch, height, width = bordered.shape
        step = torch.arange(-1, 2, device=marked.device)
        around = (step[:, None] * width + step).flatten()
        return cls(bordered.flatten().nonzero()[:, 0], around, (batch, height, width))

    def gather(self, maps: Tensor) -> Tensor:
        """Gather the neighbourhoods of all positions from maps (B,h+2,w+2,c): (N,9*c), ordered by tap."""
        rows = (self.rows[:, None] + self.around).flatten()
        return maps.flatten(0, 2).index_select(0, rows).view(len(self.rows), TAPS * maps.shape[-1])

    def scatter(self, values: Tensor) -> Tensor:
        """Return maps (B,h+2,w+2,c) with values (N,c) at the positions, and 0 elsewhere."""
        return self._zeros(values).index_copy_(0, self.rows, values).view(*self.size, -1)

    def spread(self, values: Tensor) -> Tensor:
        """Return maps (B,h+2,w+2,c) where each position adds values (N,9,c) to the pixels whose taps read it."""
        rows = (self.rows[:, None] - self.around).flatten()
        return self._zeros(values).index_add_(0, rows, values.flatten(0, 1)).view(*self.size, -1)

    def _zeros(self, values: Tensor) -> Tensor:
        batch, height, width = self.size
        return values.new_zeros(batch * height * width, values.shape[-1])


@dataclass(frozen=True)
class Layer:
    """A masked convolution whose weights are split once by dense and sparse channels, of its input and its output.

    The channel masks change only in training. Selecting by a mask would synchronise an accelerator in every batch.
    """

    everywhere: Tensor
    """(d',d,3,3), from dense to dense channels."""
    spreading: Tensor
    """(s,9*d'), from sparse to dense channels."""
    dense_to_sparse: Tensor
    """(9*d,s'), ordered by tap."""
    sparse_to_sparse: Tensor
    """(9*s,s'), ordered by tap."""
    collect_dense: Tensor
    """(C,d'), of the 1x1 convolution."""
    collect_sparse: Tensor
    """(C,s'), of the 1x1 convolution."""


@dataclass(frozen=True)
class Prepared:
    """The layers of a module, split by their masks."""

    layers: tuple[Layer, ...]
    saving: int
    """Multiply-adds saved per unmarked position."""

    @classmethod
    def of(cls, module: SparseModule) -> Prepared:
        """Split the weights of a module; the masks are read back once."""
        masks = [layer.sparse() for layer in module.layers()]
        before, layers = torch.zeros_like(masks[0]), []
        for layer, part, sparse in zip(module.layers(), module.collect.convolutions(), masks, strict=True):
            layers.append(_split(layer, part.weight[:, :, 0, 0], before, sparse))
            before = sparse
        return cls(tuple(layers), saving(module))


def _split(layer: MaskedConvolution, collect: Tensor, before: Tensor, after: Tensor) -> Layer:
    weight = layer.convolution.weight
    to_dense, to_sparse = weight[~after], weight[after]  # (d', C, 3, 3), (s', C, 3, 3)
    return Layer(
        to_dense[:, ~before],
        to_dense[:, before].permute(1, 2, 3, 0).flatten(1),
        _by_tap(to_sparse[:, ~before]),
        _by_tap(to_sparse[:, before]),
        collect[:, ~after],
        collect[:, after],
    )


@dataclass(frozen=True)
class Split:
    """Features with dense and sparse channels."""

    dense_maps: Tensor
    """(B,h+2,w+2,d), dense channels."""
    sparse_values: Tensor
    """(N,s), sparse channels at marked positions; 0 elsewhere."""


def run(module: SparseModule, prepared: Prepared, features: Tensor, marked: Tensor) -> Tensor:
    """Apply the module to features (B,C,h,w) with the spatial mask marked (B,1,h,w); it synchronises once."""
    positions = Positions.of(marked)
    bordered = functional.pad(features.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    output = Split(bordered, features.new_zeros(len(positions.rows), 0))
    outputs = []
    for layer in prepared.layers:
        output = _convolved(layer, output, positions)
        outputs.append(output)
    return features + module.attention(_collected(module, prepared, outputs, positions).permute(0, 3, 1, 2))


def saving(module: SparseModule) -> int:
    """Return the multiply-adds that the module saves per unmarked position."""
    saved, before = 0, 0  # before: sparse channels of the previous layer
    for layer, part in zip(module.layers(), module.collect.convolutions(), strict=True):
        channels, after = len(layer.logits), int(layer.sparse().sum())
        saved += TAPS * (before * (channels - after) + channels * after)  # from sparse to dense, from all to sparse
        saved += after * part.out_channels
        before = after
    return saved


def _convolved(layer: Layer, features: Split, positions: Positions) -> Split:
    dense = _everywhere(layer.everywhere, features.dense_maps)  # (B, h, w, d')
    spread = features.sparse_values @ layer.spreading  # (N, 9*d')
    dense += positions.spread(spread.unflatten(1, (TAPS, -1)))[:, 1:-1, 1:-1]
    values = positions.gather(features.dense_maps) @ layer.dense_to_sparse  # (N, s')
    values += positions.gather(positions.scatter(features.sparse_values)) @ layer.sparse_to_sparse
    return Split(functional.pad(dense.relu_(), (0, 0, 1, 1, 1, 1)), values.relu_())


def _everywhere(weight: Tensor, maps: Tensor) -> Tensor:
    """Convolve maps (B,h+2,w+2,d) by weight (d',d,3,3): (B,h,w,d')."""
    if weight.numel() == 0:  # conv2d does not accept it
        batch, height, width, _ = maps.shape
        return maps.new_zeros(batch, height - 2, width - 2, len(weight))
    return functional.conv2d(maps.permute(0, 3, 1, 2), weight).permute(0, 2, 3, 1)


def _by_tap(weight: Tensor) -> Tensor:
    """(s',c,3,3) -> (9*c,s'), in the order of `Positions.gather`."""
    return weight.permute(2, 3, 1, 0).flatten(0, 2)


def _collected(module: SparseModule, prepared: Prepared, outputs: Sequence[Split], positions: Positions) -> Tensor:
    """Apply the 1x1 convolution to the outputs of all layers: (B,h,w,C)."""
    of_dense = torch.cat([layer.collect_dense for layer in prepared.layers], dim=1)
    of_sparse = torch.cat([layer.collect_sparse for layer in prepared.layers], dim=1)
    dense = torch.cat([out.dense_maps[:, 1:-1, 1:-1] for out in outputs], dim=-1)  # (B, h, w, all d)
    values = torch.cat([out.sparse_values for out in outputs], dim=-1)  # (N, all s)
    collected = functional.linear(dense, of_dense, module.collect.convolutions()[0].bias)
    return collected + positions.scatter(functional.linear(values, of_sparse))[:, 1:-1, 1:-1]
