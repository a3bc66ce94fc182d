"""Fold the last layers of a trained network: the same function on fewer pixels with more channels, in less time.

The last layers of a network that upsamples process the most pixels with the fewest channels: a convolution to three
colours leaves most SIMD lanes idle, and its input is the largest tensor of the network. Both costs vanish if the
convolution runs before the pixel shuffle. So does that of a skip that interpolates the network's input: interpolation
is a convolution whose outputs a pixel shuffle arranges, and both summands can be shuffled at once.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Iterator

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

LANES = 16
"""float32 channels per SIMD operation; a convolution to as many or more channels leaves no lane idle."""
AGREES = 1e-4
"""Tolerance of the output for noise in [0,1], relative to its largest value, at least 1; a larger difference is an
error, not rounding."""
ADDITIONS = (operator.add, operator.iadd, torch.add)


def folded(network: nn.Module, channels: int, size: int) -> nn.Module:
    """Return a faster network that computes the same up to rounding; it may share weights with `network`.

    network: in eval(), on the CPU. channels, size: shape of the tile (1,channels,size,size) on which the result is
    verified. Returns `network` itself if no layer can be folded or the network cannot be traced.
    """
    noise = torch.rand(1, channels, size, size, generator=torch.Generator().manual_seed(0))
    try:
        traced = fx.symbolic_trace(network)
        if not _rearrange(traced, channels):
            return network
        with torch.inference_mode():
            expected = network(noise)
            agrees = (traced(noise) - expected).abs().max() <= AGREES * expected.abs().max().clamp_min(1)
    except Exception:  # tracing a network of an unknown plugin can raise anything
        return network
    return traced if agrees else network


def shuffled_last(convolution: nn.Conv2d, factor: int) -> nn.Sequential:
    """Move a pixel shuffle behind the convolution that follows it: `PixelShuffle(factor)`, then `convolution`.

    The convolution must have stride 1, dilation 1, one group, size-preserving zero padding, and a kernel radius of at
    most `factor`.
    """
    weight = convolution.weight.detach()  # (O, C, k, k)
    outputs, inputs, length, _ = weight.shape
    reach = length // 2
    kernel = weight.new_zeros(outputs, factor, factor, inputs, factor, factor, 3, 3)
    for row, column in _pairs(factor):  # of an output within its block
        for down, across in _pairs(length):
            above, sub_row = divmod(row + down - reach, factor)
            before, sub_column = divmod(column + across - reach, factor)
            kernel[:, row, column, :, sub_row, sub_column, 1 + above, 1 + before] = weight[:, :, down, across]
    return _shuffled(kernel.flatten(3, 5).flatten(0, 2), convolution.bias, factor)


def enlarged_last(transposed: nn.ConvTranspose2d) -> nn.Sequential:
    """Replace a transposed convolution that upsamples by its stride by a convolution and a pixel shuffle."""
    weight, factor, cut = transposed.weight.detach(), transposed.stride[0], transposed.padding[0]  # (C, O, k, k)
    assert isinstance(cut, int)  # `_enlarges_by_its_stride` has checked it
    inputs, outputs, length, _ = weight.shape
    reach = max(cut // factor + (cut % factor > 0), (length - 1 - cut) // factor)
    kernel = weight.new_zeros(outputs, factor, factor, inputs, 2 * reach + 1, 2 * reach + 1)
    for row, column in _pairs(factor):
        for down, across in _pairs(2 * reach + 1):
            # Input q + down - reach contributes tap `vertical` to output factor * q + row.
            vertical = row + cut - factor * (down - reach)
            horizontal = column + cut - factor * (across - reach)
            if 0 <= vertical < length and 0 <= horizontal < length:
                kernel[:, row, column, :, down, across] = weight[:, :, vertical, horizontal].T
    return _shuffled(kernel.flatten(0, 2), transposed.bias, factor)


def interpolating(factor: int, mode: str, channels: int) -> nn.Conv2d:
    """Return the convolution that interpolates (B,channels,h,w) by a factor, up to a pixel shuffle behind it.

    mode: `nearest` or `bilinear`, whose outputs depend on the 3x3 pixels around, and at the border on its repetition.
    """
    points = torch.eye(9).unflatten(1, (3, 3))[:, None]  # (9, 1, 3, 3): image n holds one white pixel
    enlarged = functional.interpolate(functional.pad(points, (1, 1, 1, 1)), scale_factor=factor, mode=mode)
    middle = slice(2 * factor, 3 * factor)
    taps = enlarged[:, 0, middle, middle].permute(1, 2, 0).unflatten(2, (3, 3))  # (factor, factor, 3, 3)
    kernel = torch.zeros(channels, factor, factor, channels, 3, 3)
    for channel in range(channels):
        kernel[channel, :, :, channel] = taps
    convolution = nn.Conv2d(channels, channels * factor**2, 3, padding=1, padding_mode="replicate", bias=False)
    convolution.weight.data = kernel.flatten(0, 2)
    return convolution.eval()


def _rearrange(traced: fx.GraphModule, channels: int) -> bool:
    """Fold every layer that can be folded; return True if there was one."""
    nodes = list(traced.graph.nodes)
    count = sum(_replaced(traced, node) for node in nodes)
    count += sum(_joined(traced, node, channels) for node in nodes if node.target in ADDITIONS)
    traced.graph.lint()
    traced.delete_all_unused_submodules()
    traced.recompile()
    return count > 0


def _replaced(traced: fx.GraphModule, node: fx.Node) -> bool:
    """Replace a node by a faster equivalent; return False if there is none."""
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


def _joined(traced: fx.GraphModule, node: fx.Node, channels: int) -> bool:
    """Add an interpolated skip before the pixel shuffle instead of behind it; return False if there is none."""
    summands = [part for part in node.args if isinstance(part, fx.Node) and len(part.users) == 1]
    shuffles = [part for part in summands if isinstance(_module(traced, part), nn.PixelShuffle)]
    skips = [part for part in summands if part.target is functional.interpolate]
    if node.kwargs or not (len(shuffles) == len(skips) == 1 and len(node.args) == 2):
        return False
    (shuffle,), (skip,) = shuffles, skips
    factor = int(traced.get_submodule(str(shuffle.target)).upscale_factor)  # type: ignore[arg-type]  # an int
    mode = _mode(skip, factor)
    if mode is None:
        return False
    graph, name = traced.graph, f"{skip.name}_folded"
    traced.add_module(name, interpolating(factor, mode, channels))
    with graph.inserting_before(node):
        convolved = graph.call_module(name, (skip.args[0],))
        joined = graph.call_function(operator.add, (shuffle.args[0], convolved))
        node.replace_all_uses_with(graph.call_module(str(shuffle.target), (joined,)))
    for unused in (node, shuffle, skip):
        graph.erase_node(unused)
    return True


def _mode(skip: fx.Node, factor: int) -> str | None:
    """Return how a node interpolates the network's input by a factor, if a convolution of 3x3 can do so."""
    call = inspect.signature(functional.interpolate).bind(*skip.args, **skip.kwargs)
    call.apply_defaults()
    lq, mode = call.arguments["input"], call.arguments["mode"]
    can = (
        isinstance(lq, fx.Node)
        and lq.op == "placeholder"
        and skip.args[:1] == (lq,)
        and call.arguments["size"] is None
        and call.arguments["scale_factor"] == factor
        and mode in ("nearest", "bilinear")
        and not call.arguments["align_corners"]
        and not call.arguments["antialias"]
    )
    return mode if can else None


def _module(traced: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """Return the module that a node calls with a single argument (e.g. no output size); None for other nodes."""
    is_plain_call = node.op == "call_module" and len(node.args) == 1 and not node.kwargs
    return traced.get_submodule(str(node.target)) if is_plain_call else None


def _replace(traced: fx.GraphModule, node: fx.Node, modules: nn.Sequential) -> None:
    """Call `modules` in place of the node's module, under new names: other nodes may call the old module too."""
    last, graph = node, traced.graph
    for number, module in enumerate(modules):
        name = f"{node.name}_folded_{number}"
        traced.add_module(name, module)
        if number == 0:
            node.target = name
            continue
        users = list(last.users)
        with graph.inserting_after(last):
            following = graph.call_module(name, (last,))
        for user in users:
            user.replace_input_with(last, following)
        last = following


def _keeps_the_size(convolution: nn.Conv2d, factor: int) -> bool:
    """Return True if a convolution can move before a pixel shuffle, and gains by it: few outputs, small radius."""
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
    upsampling = side + int(transposed.output_padding[0]) - 2 * int(transposed.padding[0])
    return (
        transposed.kernel_size == (side, side)
        and transposed.stride == (stride, stride)
        and transposed.padding[0] == transposed.padding[1]
        and transposed.output_padding[0] == transposed.output_padding[1]
        and transposed.dilation == (1, 1)
        and transposed.groups == 1
        and upsampling == stride > 1
    )


def _shuffled(weight: Tensor, bias: Tensor | None, factor: int) -> nn.Sequential:
    """Return a size-preserving convolution with weight (O*factor**2,C,k,k), followed by the pixel shuffle."""
    outputs, inputs, side, _ = weight.shape
    convolution = nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=bias is not None)
    convolution.weight.data = weight
    if bias is not None:
        convolution.bias.data = bias.detach().repeat_interleave(factor**2)  # type: ignore[union-attr]  # not None
    return nn.Sequential(convolution, nn.PixelShuffle(factor)).eval()


def _pairs(count: int) -> Iterator[tuple[int, int]]:
    return ((row, column) for row in range(count) for column in range(count))
