"""What a search has found: read from the gates of a trained supernet, and its weights handed down."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lowvision_search import Kernels, searched, supernet


def found(network: nn.Module) -> tuple[int, list[tuple[int, Kernels]]]:
    """The channels between the blocks, and the width and kernels of each block that is left.

    Raises ValueError where gates are still open.
    """
    if not isinstance(network, supernet.Network):
        raise ValueError(f"{type(network).__name__} is not the network of a supernet")
    (between, *inside), kernels = network.gates.decided()
    return between, [(width, pair) for width, pair in zip(inside, kernels, strict=True) if pair is not None]


def hand_down(larger: nn.Module, smaller: nn.Module) -> bool:
    """Set the weights of `smaller` to those that a supernet has left; False where that is not what it has found."""
    if not isinstance(larger, supernet.Network) or not isinstance(smaller, searched.Network):
        return False
    mine = [block for block in smaller.blocks if isinstance(block, searched.Block)]
    try:
        fits = found(larger) == (smaller.head.out_channels, [(b.start.out_channels, b.kernels) for b in mine])
    except ValueError:
        return False
    if fits:
        _copy(larger, smaller, mine)
    return fits


@torch.no_grad()
def _copy(larger: supernet.Network, smaller: searched.Network, mine: Sequence[searched.Block]) -> None:
    _, kernels = larger.gates.decided()
    _cut(larger.head, smaller.head)
    _cut(larger.last, smaller.last)
    left = [pair for pair, kept in zip(larger.blocks(), kernels, strict=True) if kept]
    for (start, end), block in zip(left, mine, strict=True):
        for mixed, one, kernel in zip((start, end), (block.start, block.end), block.kernels, strict=True):
            _cut(mixed.square if kernel == 3 else mixed.point, one)
            _first(mixed.square.bias, one.bias)


def _cut(source: nn.Conv2d, target: nn.Conv2d) -> None:
    """Copy the first channels of a convolution, as many as there are in `target`, and their biases."""
    target.weight.copy_(source.weight[: target.out_channels, : target.in_channels])
    if source.bias is not None:
        _first(source.bias, target.bias)


def _first(source: Tensor | None, target: Tensor | None) -> None:
    """Copy the first numbers of a vector."""
    assert source is not None
    assert target is not None
    target.copy_(source[: len(target)])
