"""What a search has found: read from the gates of a trained supernet, and its weights handed down."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lowvision_search import Kernels, searched, supernet
from lowvision_search.gates import Width


def found(network: nn.Module) -> tuple[int, list[tuple[int, Kernels]]]:
    """The channels between the blocks, and the width and kernels of each block that is left.

    Raises ValueError where gates are still open.
    """
    if not isinstance(network, supernet.Network):
        raise ValueError(f"{type(network).__name__} is not the network of a supernet")
    closed = network.state().closed
    blocks = [(_wide(block.width, closed), supernet.KEPT[n]) for block, n in _left(network)]
    return _wide(network.width, closed), blocks


def hand_down(larger: nn.Module, smaller: nn.Module) -> bool:
    """Set the weights of `smaller` to those that a supernet has left; False where that is not what it has found."""
    if not isinstance(larger, supernet.Network) or not isinstance(smaller, searched.Network):
        return False
    try:
        fits = found(larger) == _shape(smaller)
    except ValueError:
        return False
    if not fits:
        return False
    theirs = [block for block, _ in _left(larger)]
    mine = [block for block in smaller.blocks if isinstance(block, searched.Block)]
    with torch.no_grad():
        _cut(larger.head, smaller.head)
        _cut(larger.last, smaller.last)
        for block, left in zip(theirs, mine, strict=True):
            for mixed, one in ((block.start, left.start), (block.end, left.end)):
                _cut(mixed.square if one.kernel_size == (3, 3) else mixed.point, one)
                _copy(mixed.square.bias, one.bias)
    return True


def _left(network: supernet.Network) -> Iterator[tuple[supernet.Block, int]]:
    """The blocks that are kept, and which alternative of each."""
    closed = network.state().closed
    for block in network.searchable():
        chosen = _chosen(block.gate(closed))
        if chosen < len(supernet.KEPT):
            yield block, chosen


def _wide(width: Width, closed: Tensor) -> int:
    return width.part * (1 + _chosen(width.gate(closed)))


def _chosen(p: Tensor) -> int:
    """The only alternative. Raises ValueError where there are several."""
    if p.max() < 1:
        raise ValueError("its search is not at its end; convert what the last step of its stage left")
    return int(p.argmax())


def _shape(network: searched.Network) -> tuple[int, list[tuple[int, Kernels]]]:
    """As `found` tells it."""
    blocks = [block for block in network.blocks if isinstance(block, searched.Block)]
    return network.head.out_channels, [(block.start.out_channels, block.kernels) for block in blocks]


def _cut(source: nn.Conv2d, target: nn.Conv2d) -> None:
    """Copy the first channels of a convolution, as many as there are in `target`, and their biases."""
    target.weight.copy_(source.weight[: target.out_channels, : target.in_channels])
    if source.bias is not None:
        _copy(source.bias, target.bias)


def _copy(source: Tensor | None, target: Tensor | None) -> None:
    """Copy the first numbers of a vector."""
    assert source is not None
    assert target is not None
    target.copy_(source[: len(target)])
