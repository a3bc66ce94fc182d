"""Balanced sparse weights of a network, and gradual pruning during training.

Outside its objective, a layer's weight always has the configured number of non-zeros in every block. Only while the
objective runs, the mask passes more weights, fewer as the stage progresses: this is the gradual pruning.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lowvision import ImageLoss
from lowvision_sparsity.blocks import Blocks, Layer, kept_of

PLACE = "parametrizations.weight"
"""Name under which torch stores the parametrization of a layer's weight."""


class Balanced(nn.Module):
    """A parametrization that sets all but the largest weights of every block to zero."""

    mask: Tensor
    """Bool, of the weight's shape: weights that pass."""
    open: Tensor
    """Weights per block that training uses: decreases from all to `blocks.kept`."""

    def __init__(self, weight: Tensor, blocks: Blocks):
        super().__init__()
        self.blocks = blocks
        self.register_buffer("mask", blocks.ranks(weight) < blocks.kept)
        self.register_buffer("open", torch.tensor(blocks.size))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.mask

    def widen(self, weight: Tensor, share: float) -> Tensor:
        """Widen the mask to `share` of the target sparsity; return the mask to restore afterwards.

        weight: the unmasked weight. After the target is reached, the mask is fixed.
        """
        ranks = self.blocks.ranks(weight)
        kept = max(self.blocks.kept, kept_of(self.blocks.size, share * self.blocks.sparsity))
        settled = self.open <= self.blocks.kept
        closed = torch.where(settled, self.mask, ranks < self.blocks.kept)
        # New tensors, because the backward pass needs the previous ones.
        self.open = self.open.clamp(max=kept)
        self.mask = torch.where(settled, closed, ranks < self.open)
        return closed


class GradualPruning(nn.Module):
    """Train a sparse network by the image loss, or by the wrapped backbone's objective, with gradual pruning."""

    def __init__(self, network: nn.Module, own: nn.Module | None, settle: float, image_loss: ImageLoss):
        super().__init__()
        self.network, self.own, self.settle = network, own, settle
        self.image_loss = image_loss

    def forward(self, lq: Tensor, gt: Tensor, progress: float) -> dict[str, Tensor]:
        """lq (B,C,h,w) and gt (B,C,s*h,s*w) in [0,1] -> losses by name."""
        share = ramp(progress / self.settle)
        closed = [(balanced, balanced.widen(weight, share)) for weight, balanced in sparse_weights(self.network)]
        try:
            if self.own is not None:
                losses: dict[str, Tensor] = self.own(lq, gt, progress)
                return losses
            return {"image": self.image_loss(self.network(lq), gt)}
        finally:
            for balanced, mask in closed:
                balanced.mask = mask


def ramp(progress: float) -> float:
    """Return the fraction of the target sparsity: cubic from 0 at 0 to 1 at 1 (Zhu and Gupta 2017, eq. 1)."""
    return 1 - (1 - min(progress, 1.0)) ** 3


def make_sparse(network: nn.Module, sparsity: float, size: int, ends: bool) -> int:
    """Make the layers of a network sparse, the first and last only if `ends`; return the number of sparse layers."""
    layers = [module for module in network.modules() if isinstance(module, Layer) and _is_trainable(module)]
    pruned = layers if ends else layers[1:-1]
    for layer in pruned:
        blocks = Blocks.of(layer, sparsity, size)
        parametrize.register_parametrization(layer, "weight", Balanced(layer.weight, blocks))
    return len(pruned)


def sparse_weights(network: nn.Module) -> Iterator[tuple[Tensor, Balanced]]:
    """Yield every sparse weight, unmasked, and its parametrization."""
    for _, parametrization in _sparse(network):
        yield parametrization.original, parametrization[0]  # type: ignore[misc]  # checked by `_sparse`


def inherit(larger: nn.Module, smaller: nn.Module) -> bool:
    """Set the weights of a sparse network to the unmasked weights of its dense or less sparse origin.

    Return False, and change nothing, if the networks do not match.
    """
    sources, targets = _by_dense_names(larger), _by_dense_names(smaller)
    if targets.keys() != sources.keys() or any(t.shape != sources[name].shape for name, t in targets.items()):
        return False
    with torch.no_grad():
        for name, tensor in targets.items():
            tensor.copy_(sources[name])
        for weight, balanced in sparse_weights(smaller):
            balanced.mask.copy_(balanced.blocks.ranks(weight) < balanced.blocks.kept)
    return True


def _is_trainable(layer: Layer) -> bool:
    """Return True if the weight is a parameter of the layer, neither a constant nor computed."""
    return isinstance(layer.weight, nn.Parameter) and layer.weight.requires_grad


def _sparse(network: nn.Module) -> Iterator[tuple[str, parametrize.ParametrizationList]]:
    """Yield the parametrization of each sparse weight, by the weight's name in the dense network."""
    for name, module in network.named_modules():
        if isinstance(module, parametrize.ParametrizationList) and isinstance(module[0], Balanced):
            yield f"{name.removesuffix(PLACE)}weight", module


def _by_dense_names(network: nn.Module) -> dict[str, Tensor]:
    """Return the network's tensors, not copies, by their names in the dense network, without masks."""
    state = network.state_dict()
    for weight, parametrization in _sparse(network):
        place = f"{weight.removesuffix('weight')}{PLACE}"
        for name in parametrization.state_dict():
            tensor = state.pop(f"{place}.{name}")
            if name == "original":
                state[weight] = tensor
    return dict(state)
