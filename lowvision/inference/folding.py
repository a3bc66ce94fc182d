"""Rearranges the end of a trained network so that it works on fewer and wider pixels: the same function in less time.

Where a network enlarges, its last layers touch the most pixels with the fewest channels: a convolution to three colours
leaves most lanes of a processor idle, and what it reads is the largest tensor of all. Both go away where the
convolution comes before the pixels are dealt out.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, fx, nn

LANES = 16
"""Channels of float32 that a processor works on at a time; a convolution to as many or more wastes none."""
AGREES = 1e-4
"""How far the output for noise in [0,1] may be from the original's; what is further off is wrong, not rounded."""


def folded(network: nn.Module, channels: int, size: int) -> nn.Module:
    """A network that computes the same up to rounding, made from one in eval() on the CPU, which may share its weights.

    channels, size: of a tile (B,channels,size,size) that it takes, on which the result is tried. Where nothing can be
    rearranged, or how the network computes cannot be traced, the network itself.
    """
    noise = torch.rand(1, channels, size, size, generator=torch.Generator().manual_seed(0))
    try:
        traced = fx.symbolic_trace(network)
        if not _rearrange(traced):
            return network
        with torch.inference_mode():
            agrees = (traced(noise) - network(noise)).abs().max() <= AGREES
    except Exception:  # a trace of a stranger's network fails in many ways
        return network
    return traced if agrees else network


def shuffled_last(convolution: nn.Conv2d, factor: int) -> nn.Sequential:
    """What `PixelShuffle(factor)` and then `convolution` compute, with the shuffle behind.

    The convolution: stride 1, dilation 1, one group, as many zeros around as keep the size, reach at most `factor`.
    """
    weight = convolution.weight.detach()  # (O, C, k, k)
    outputs, inputs, length, _ = weight.shape
    reach = length // 2
    wide = weight.new_zeros(outputs, factor, factor, inputs, factor, factor, 3, 3)
    for row, column in _pairs(factor):  # of an output within its block
        for down, across in _pairs(length):
            above, sub_row = divmod(row + down - reach, factor)
            before, sub_column = divmod(column + across - reach, factor)
            wide[:, row, column, :, sub_row, sub_column, 1 + above, 1 + before] = weight[:, :, down, across]
    return _dealt(wide.flatten(3, 5).flatten(0, 2), convolution.bias, factor)


def enlarged_last(transposed: nn.ConvTranspose2d) -> nn.Sequential:
    """What a transposed convolution computes that enlarges by its stride, as a convolution and a pixel shuffle."""
    weight, factor, cut = transposed.weight.detach(), transposed.stride[0], transposed.padding[0]  # (C, O, k, k)
    assert isinstance(cut, int)  # else `_enlarges_by_its_stride` had refused it
    inputs, outputs, length, _ = weight.shape
    reach = max(cut // factor + (cut % factor > 0), (length - 1 - cut) // factor)
    wide = weight.new_zeros(outputs, factor, factor, inputs, 2 * reach + 1, 2 * reach + 1)
    for row, column in _pairs(factor):
        for down, across in _pairs(2 * reach + 1):
            # Input q + down - reach gives output factor * q + row the tap `vertical`.
            vertical = row + cut - factor * (down - reach)
            horizontal = column + cut - factor * (across - reach)
            if 0 <= vertical < length and 0 <= horizontal < length:
                wide[:, row, column, :, down, across] = weight[:, :, vertical, horizontal].T
    return _dealt(wide.flatten(0, 2), transposed.bias, factor)


def _rearrange(traced: fx.GraphModule) -> bool:
    """Replaces all that can be; whether that is anything."""
    count = sum(_replaced(traced, node) for node in list(traced.graph.nodes))
    traced.graph.lint()
    traced.delete_all_unused_submodules()
    traced.recompile()
    return count > 0


def _replaced(traced: fx.GraphModule, node: fx.Node) -> bool:
    """Puts something faster in the place of a node, if it is one of those that can be."""
    module = _module(traced, node)
    if isinstance(module, nn.ConvTranspose2d) and _enlarges_by_its_stride(module):
        _replace(traced, node, enlarged_last(module))
        return True
    if isinstance(module, nn.PixelShuffle) and len(node.users) == 1:
        (user,) = node.users
        convolution, factor = _module(traced, user), module.upscale_factor
        if isinstance(convolution, nn.Conv2d) and _keeps_the_size(convolution, factor):
            node.replace_all_uses_with(node.args[0])  # type: ignore[arg-type]  # a module's argument is a node
            traced.graph.erase_node(node)
            _replace(traced, user, shuffled_last(convolution, factor))
            return True
    return False


def _module(traced: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """That is called with one argument and nothing else, as by an output size."""
    plain = node.op == "call_module" and len(node.args) == 1 and not node.kwargs
    return traced.get_submodule(str(node.target)) if plain else None


def _replace(traced: fx.GraphModule, node: fx.Node, module: nn.Module) -> None:
    """Under a name of its own: the module that was there may be called elsewhere too."""
    name = f"{node.name}_folded"
    traced.add_module(name, module)
    node.target = name


def _keeps_the_size(convolution: nn.Conv2d, factor: int) -> bool:
    """Whether a convolution behind a pixel shuffle can come before it, and gains by it: few outputs, short reach."""
    side, _ = convolution.kernel_size
    return (
        convolution.kernel_size == (side, side)
        and side % 2 == 1
        and side // 2 <= factor
        and convolution.padding == (side // 2, side // 2)
        and convolution.padding_mode == "zeros"
        and convolution.stride == convolution.dilation == (1, 1)
        and convolution.groups == 1
        and convolution.out_channels < LANES
    )


def _enlarges_by_its_stride(transposed: nn.ConvTranspose2d) -> bool:
    side, stride = transposed.kernel_size[0], transposed.stride[0]
    more = side + int(transposed.output_padding[0]) - 2 * int(transposed.padding[0])
    return (
        transposed.kernel_size == (side, side)
        and transposed.stride == (stride, stride)
        and transposed.padding[0] == transposed.padding[1]
        and transposed.output_padding[0] == transposed.output_padding[1]
        and transposed.dilation == (1, 1)
        and transposed.groups == 1
        and more == stride > 1
    )


def _dealt(weight: Tensor, bias: Tensor | None, factor: int) -> nn.Sequential:
    """A convolution by weight (O*factor**2,C,k,k) that keeps the size, and the shuffle that deals its pixels out."""
    outputs, inputs, side, _ = weight.shape
    convolution = nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=bias is not None)
    convolution.weight.data = weight
    if bias is not None:
        convolution.bias.data = bias.detach().repeat_interleave(factor**2)  # type: ignore[union-attr]  # it has one
    return nn.Sequential(convolution, nn.PixelShuffle(factor)).eval()


def _pairs(count: int) -> Iterator[tuple[int, int]]:
    return ((row, column) for row in range(count) for column in range(count))
