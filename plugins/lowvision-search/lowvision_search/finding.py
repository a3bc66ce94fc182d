"""The result of a search: the architecture that a trained supernet selected, and its weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lowvision_search import Kernels, searched, supernet


def selected_architecture(network: nn.Module) -> tuple[int, list[tuple[int, Kernels]]]:
    """Return the channels between blocks, and width and kernels of each selected block.

    Raises ValueError if gates are still open.
    """
    if not isinstance(network, supernet.Network):
        raise ValueError(f"{type(network).__name__} is not the network of a supernet")
    (between, *inside), kernels = network.gates.decided()
    return between, [(width, pair) for width, pair in zip(inside, kernels, strict=True) if pair is not None]


def inherit_weights(larger: nn.Module, smaller: nn.Module) -> bool:
    """Set the weights of `smaller` to those of a supernet; return False if the supernet selected another network."""
    if not isinstance(larger, supernet.Network) or not isinstance(smaller, searched.Network):
        return False
    targets = [block for block in smaller.blocks if isinstance(block, searched.Block)]
    architecture = (smaller.head.out_channels, [(b.start.out_channels, b.kernels) for b in targets])
    try:
        fits = selected_architecture(larger) == architecture
    except ValueError:
        return False
    if fits:
        _copy(larger, smaller, targets)
    return fits


@torch.no_grad()
def _copy(larger: supernet.Network, smaller: searched.Network, targets: Sequence[searched.Block]) -> None:
    _, kernels = larger.gates.decided()
    _copy_slice(larger.head, smaller.head)
    _copy_slice(larger.last, smaller.last)
    selected = [pair for pair, kernel_pair in zip(larger.blocks(), kernels, strict=True) if kernel_pair]
    for (start, end), block in zip(selected, targets, strict=True):
        for mixed, target, kernel in zip((start, end), (block.start, block.end), block.kernels, strict=True):
            _copy_slice(mixed.square if kernel == 3 else mixed.point, target)
            _copy_leading(mixed.square.bias, target.bias)


def _copy_slice(source: nn.Conv2d, target: nn.Conv2d) -> None:
    """Copy to `target` its number of leading channels of a convolution, and their biases."""
    target.weight.copy_(source.weight[: target.out_channels, : target.in_channels])
    if source.bias is not None:
        _copy_leading(source.bias, target.bias)


def _copy_leading(source: Tensor | None, target: Tensor | None) -> None:
    """Copy the leading elements of a vector."""
    assert source is not None
    assert target is not None
    target.copy_(source[: len(target)])
