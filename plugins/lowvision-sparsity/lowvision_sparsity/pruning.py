"""Keeps the weights of a network balanced and sparse, and prunes it gradually while it is trained.

At any time, whoever asks, a layer's weight has exactly as many non-zeros in every block as its options say. Only while
its own objective runs are more let through, the fewer the further the stage is: that is what gradual pruning is.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from lowvision_sparsity.blocks import Blocks, Layer, kept_of

PLACE = "parametrizations.weight"
"""Where torch puts what makes the weight of a layer."""


class Balanced(nn.Module):
    """A parametrization: the weight, with all but the largest of every block zero."""

    mask: Tensor
    """Of the weight's shape, bool: which weights are let through."""
    open: Tensor
    """So many of a block training still uses: from all of them down to `blocks.kept`, never up again."""

    def __init__(self, weight: Tensor, blocks: Blocks):
        super().__init__()
        self.blocks = blocks
        self.register_buffer("mask", blocks.ranks(weight) < blocks.kept)
        self.register_buffer("open", torch.tensor(blocks.size))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.mask

    def widen(self, weight: Tensor, share: float) -> Tensor:
        """Let through what a sparsity of `share` of the wanted one leaves; the mask that is to hold afterwards.

        weight: before it is masked. Once no more is let through than is to stay, masks stay as they are.
        """
        ranks = self.blocks.ranks(weight)
        kept = max(self.blocks.kept, kept_of(self.blocks.size, share * self.blocks.sparsity))
        settled = self.open <= self.blocks.kept
        closed = torch.where(settled, self.mask, ranks < self.blocks.kept)
        # A new tensor each time: the backward pass still needs the one that was used.
        self.open = self.open.clamp(max=kept)
        self.mask = torch.where(settled, closed, ranks < self.open)
        return closed


class GradualPruning(nn.Module):
    """Trains a sparse network by L1, or as the inner backbone says, and takes weights away as the stage goes on."""

    def __init__(self, network: nn.Module, own: nn.Module | None, settle: float):
        super().__init__()
        self.network, self.own, self.settle = network, own, settle

    def forward(self, lq: Tensor, gt: Tensor, progress: float) -> dict[str, Tensor]:
        """lq (B,C,h,w) and gt (B,C,s*h,s*w) in [0,1] -> losses by name."""
        share = ramp(progress / self.settle)
        closed = [(balanced, balanced.widen(weight, share)) for weight, balanced in sparse_weights(self.network)]
        try:
            if self.own is not None:
                losses: dict[str, Tensor] = self.own(lq, gt, progress)
                return losses
            return {"image": functional.l1_loss(self.network(lq), gt)}
        finally:
            for balanced, mask in closed:
                balanced.mask = mask


def ramp(progress: float) -> float:
    """The share of the wanted sparsity: 0 at 0, 1 from 1 on, fast at first (Zhu and Gupta 2017, eq. 1)."""
    return 1 - (1 - min(progress, 1.0)) ** 3


def make_sparse(network: nn.Module, sparsity: float, size: int, ends: bool) -> int:
    """Make the layers of a network sparse, all but the first and the last of them unless `ends`; how many became so."""
    layers = [module for module in network.modules() if isinstance(module, Layer) and _is_learned(module)]
    chosen = layers if ends else layers[1:-1]
    for layer in chosen:
        blocks = Blocks.of(layer, sparsity, size)
        parametrize.register_parametrization(layer, "weight", Balanced(layer.weight, blocks))
    return len(chosen)


def sparse_weights(network: nn.Module) -> Iterator[tuple[Tensor, Balanced]]:
    """Every weight that is sparse, as it is before it is masked, and what masks it."""
    for _, parametrization in _sparse(network):
        yield parametrization.original, parametrization[0]  # type: ignore[misc]  # as `_sparse` has looked


def inherit(larger: nn.Module, smaller: nn.Module) -> bool:
    """Set the weights of a sparse network to those of the dense, or less sparse, one that it was made of, unmasked.

    False, and nothing set, where they are not of one kind.
    """
    theirs, mine = _by_dense_names(larger), _by_dense_names(smaller)
    if mine.keys() != theirs.keys() or any(tensor.shape != theirs[name].shape for name, tensor in mine.items()):
        return False
    with torch.no_grad():
        for name, tensor in mine.items():
            tensor.copy_(theirs[name])
        for weight, balanced in sparse_weights(smaller):
            balanced.mask.copy_(balanced.blocks.ranks(weight) < balanced.blocks.kept)
    return True


def _is_learned(layer: Layer) -> bool:
    """Whether the weight is a parameter of the layer itself, neither a constant nor computed from others."""
    return isinstance(layer.weight, nn.Parameter) and layer.weight.requires_grad


def _sparse(network: nn.Module) -> Iterator[tuple[str, parametrize.ParametrizationList]]:
    """What makes each sparse weight, under the name that the weight has in the dense network."""
    for name, module in network.named_modules():
        if isinstance(module, parametrize.ParametrizationList) and isinstance(module[0], Balanced):
            yield f"{name.removesuffix(PLACE)}weight", module


def _by_dense_names(network: nn.Module) -> dict[str, Tensor]:
    """The network's own tensors, not copies, under the names that they have where it is dense; no masks."""
    state = network.state_dict()
    for weight, parametrization in _sparse(network):
        place = f"{weight.removesuffix('weight')}{PLACE}"
        for name in parametrization.state_dict():
            tensor = state.pop(f"{place}.{name}")
            if name == "original":
                state[weight] = tensor
    return dict(state)
