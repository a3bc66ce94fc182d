"""PyTorch's operators as ncnn's layers: one function per operator, by its name in `torch.export`'s graphs.

Every function gets the file to append to, and the operator's arguments: constants as tensors and numbers, and what
depends on the input as `Blob`. ncnn has no batch: a tensor (1,C,h,w) is a blob (C,h,w), one (1,C) a vector. Layers and
their options: https://github.com/Tencent/ncnn/wiki/operators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lowvision.imaging.resize import enlarging_kernel
from lowvision.inference.ncnn_context import (
    Blob,
    Context,
    Unsupported,
    axis_of,
    constant,
    pair,
    ratio_of,
    require_fixed,
)
from lowvision.inference.ncnn_file import Value
from lowvision.inference.ncnn_sizes import (
    BICUBIC,
    BILINEAR,
    HEIGHT,
    NEAREST,
    WIDTH,
    adaptive_mean,
    crop,
    interpolate,
    max_pool,
    maximum,
    mean,
    mean_pool,
    pad,
)


def convolution(
    to: Context,
    x: Blob,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Blob:
    outputs, _, height, width = constant(weight).shape
    down, across = pair(dilation)
    top, bottom, left, right = _borders(padding, down * (height - 1), across * (width - 1))
    options = {0: outputs, 5: int(bias is not None), 6: weight.numel()} | _kernel(weight, dilation, stride)
    options |= _differing((4, left), (14, top), (15, right), (16, bottom))
    if groups == 1:
        return to.weighted("Convolution", x, options, weight, bias)
    return to.weighted("ConvolutionDepthWise", x, options | {7: groups}, weight, bias)


def transposed(
    to: Context,
    x: Blob,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Blob:
    outputs = constant(weight).shape[1]
    (y, x_pad), (more_y, more_x) = pair(padding), pair(output_padding)
    options = {0: outputs * groups, 5: int(bias is not None), 6: weight.numel(), 18: more_x, 19: more_y}
    options |= _kernel(weight, dilation, stride) | _differing((4, x_pad), (14, y))
    kernel = weight.unflatten(0, (groups, -1)).transpose(1, 2)  # (groups, out/groups, in/groups, h, w)
    if groups == 1:
        return to.weighted("Deconvolution", x, options, kernel, bias)
    return to.weighted("DeconvolutionDepthWise", x, options | {7: groups}, kernel, bias)


def _kernel(weight: Tensor, dilation: Any, stride: Any) -> dict[int, int]:
    """Return the options of a kernel's size, dilation and stride along both axes."""
    (height, width), (down, across), (step_y, step_x) = weight.shape[2:], pair(dilation), pair(stride)
    options = _differing((1, width), (11, height)) | _differing((2, across), (12, down))
    return options | _differing((3, step_x), (13, step_y))


def linear(to: Context, x: Blob, weight: Tensor, bias: Tensor | None = None) -> Blob:
    if x.rank != 1:
        raise Unsupported("linear layer of several vectors")
    options = {0: len(constant(weight)), 1: int(bias is not None), 2: weight.numel()}
    return to.weighted("InnerProduct", x, options, weight, bias)


def batch_norm(
    to: Context,
    x: Blob,
    weight: Any,
    bias: Any,
    mean: Tensor,
    variance: Tensor,
    training: bool,
    _: float,
    eps: float,
    *__: Any,
) -> Blob:
    channels = len(mean)
    result = to.layer("BatchNorm", [x], {0: channels, 1: eps})
    slope = torch.ones(channels) if weight is None else weight
    to.file.store(slope, mean, variance, torch.zeros(channels) if bias is None else bias)
    return result


def prelu(to: Context, x: Blob, slopes: Tensor) -> Blob:
    result = to.layer("PReLU", [x], {0: constant(slopes).numel()})
    to.file.store(slopes)
    return result


def relu(to: Context, x: Blob, slope: float = 0.0) -> Blob:
    return to.layer("ReLU", [x], {0: float(slope)} if slope else {})


def leaky_relu(to: Context, x: Blob, slope: float = 0.01) -> Blob:
    return relu(to, x, slope)


def gelu(to: Context, x: Blob, approximate: str = "none") -> Blob:
    return to.layer("GELU", [x], {0: int(approximate == "tanh")})


def clamp(to: Context, x: Blob, low: float | None = None, high: float | None = None) -> Blob:
    limits = {0: low, 1: high}
    return to.layer("Clip", [x], {key: float(limit) for key, limit in limits.items() if limit is not None})


def plain(kind: str, options: Mapping[int, Value] | None = None) -> Callable[..., Blob]:
    """Return the function for an operator of one input that is a layer without arguments."""
    return lambda to, x: to.layer(kind, [x], options)


def binary(kind: int, reverse: int | None = None) -> Callable[..., Blob]:
    """Return the function for an arithmetic operator: kind of its layer, and that with exchanged operands."""

    def write(to: Context, left: Any, right: Any, *, alpha: float = 1) -> Blob:
        if alpha != 1:
            right = right * alpha if not isinstance(right, Blob) else _arithmetic(to, 2, None, right, alpha)
        return _arithmetic(to, kind, reverse, left, right)

    return write


def subtract_from(to: Context, x: Blob, number: float, alpha: float = 1) -> Blob:
    return binary(1, 7)(to, number, x, alpha=alpha)


def _arithmetic(to: Context, kind: int, reverse: int | None, left: Any, right: Any) -> Blob:
    """Append an operation of two operands; at least one is a blob, the other may be a number or a constant."""
    left, right = (_number(operand) for operand in (left, right))
    if isinstance(right, float):
        return to.layer("BinaryOp", [left], {0: kind, 1: 1, 2: right})
    if isinstance(left, float):
        return to.layer("BinaryOp", [right], {0: kind if reverse is None else reverse, 1: 1, 2: left})
    return to.layer("BinaryOp", [_blob(to, left, right), _blob(to, right, left)], {0: kind})


def _number(operand: Any) -> Any:
    """Return an operand of one number as a float, others as they are."""
    if isinstance(operand, Tensor):
        return float(operand) if operand.numel() == 1 else operand
    return operand if isinstance(operand, Blob) else float(operand)


def _blob(to: Context, operand: Any, other: Any) -> Blob:
    """Return an operand as a blob. Raises Unsupported for a constant that is more than a value per channel."""
    if isinstance(operand, Blob):
        return operand
    channels = operand.numel()
    if other.rank == 1 and operand.shape[-1] == channels:
        (name,) = to.file.add("MemoryData", [], {0: channels})
        to.file.store(operand)
        return Blob(name, (1, channels))
    if other.rank != 3 or operand.ndim < 3 or operand.shape[-3] != channels:
        raise Unsupported(f"arithmetic with a constant of {'x'.join(map(str, operand.shape))}")
    (name,) = to.file.add("MemoryData", [], {0: 1, 1: 1, 2: channels})
    to.file.store(operand)
    return Blob(name, (1, channels, 1, 1))


def concatenate(to: Context, blobs: Sequence[Any], axis: int = 0) -> Blob:
    if not all(isinstance(blob, Blob) for blob in blobs):
        raise Unsupported("concatenation with a constant")
    return to.layer("Concat", blobs, {0: axis_of(axis, blobs[0])})


def split(to: Context, x: Blob, _: Any, axis: int = 0) -> list[Blob]:
    torch_axis = axis_of(axis, x) + 1
    sizes = [shape[torch_axis] for shape in to.shape]
    require_fixed(sizes)
    names = to.file.add("Slice", [x.name], {0: sizes, 1: torch_axis - 1}, len(sizes))
    return [Blob(name, tuple(shape)) for name, shape in zip(names, to.shape, strict=True)]


def flatten(to: Context, x: Blob, *_: Any) -> Blob:
    if len(to.shape) != 2:
        raise Unsupported("rearranging the axes of a tensor")
    return x if x.rank == 1 else to.layer("Flatten", [x])


def enlarge_bicubically(to: Context, x: Blob, *_: Any) -> Blob:
    """Append antialiased bicubic upsampling: a transposed convolution divided by that of ones, as in `onnx_graph`."""
    ratios = {ratio_of(to.shape[axis], x.shape[axis]) for axis in (HEIGHT, WIDTH)}
    factor = ratios.pop() or 0.0
    if ratios or not float(factor).is_integer():
        raise Unsupported("antialiased bicubic interpolation by other factors than one whole number")
    taps, before = enlarging_kernel(int(factor))
    square = torch.outer(taps, taps).float()
    ones = _arithmetic(to, 0, None, _arithmetic(to, 2, None, x, 0.0), 1.0)
    enlarged, inside = (_enlarge(to, blob, square, int(factor), before) for blob in (x, ones))
    return _arithmetic(to, 3, 8, enlarged, inside)


def _enlarge(to: Context, x: Blob, kernel: Tensor, factor: int, before: int) -> Blob:
    channels, side = x.shape[1], len(kernel)
    after = side - factor - before
    options = {0: channels, 1: side, 11: side, 3: factor, 13: factor, 4: before, 14: before, 15: after, 16: after}
    kernels = kernel.expand(channels, 1, side, side)
    return to.weighted("DeconvolutionDepthWise", x, options | {5: 0, 6: kernels.numel(), 7: channels}, kernels, None)


def same(to: Context, x: Any, *_: Any, **__: Any) -> Any:
    return x


def _differing(first: tuple[int, int], *others: tuple[int, int]) -> dict[int, int]:
    """Return the options whose default is the first, which older readers do not know, only if one differs from it."""
    return dict([first, *others]) if any(value != first[1] for _, value in others) else dict([first])


def _borders(padding: Any, height: int, width: int) -> tuple[int, int, int, int]:
    """Return the padding above, below, left and right of a kernel that covers that many pixels beyond one."""
    if padding == "same":
        return height // 2, height - height // 2, width // 2, width - width // 2
    y, x = pair(0 if padding == "valid" else padding)
    return y, y, x, x


OPERATORS: Mapping[str, Callable[..., Any]] = {
    "conv2d": convolution,
    "conv_transpose2d": transposed,
    "linear": linear,
    "batch_norm": batch_norm,
    "prelu": prelu,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "gelu": gelu,
    "clamp": clamp,
    "silu": plain("Swish"),
    "sigmoid": plain("Sigmoid"),
    "tanh": plain("TanH"),
    "abs": plain("UnaryOp", {0: 0}),
    "square": plain("UnaryOp", {0: 4}),
    "sqrt": plain("UnaryOp", {0: 5}),
    "exp": plain("UnaryOp", {0: 7}),
    "log": plain("UnaryOp", {0: 8}),
    "neg": plain("UnaryOp", {0: 1}),
    "rsqrt": plain("UnaryOp", {0: 6}),
    "reciprocal": plain("UnaryOp", {0: 15}),
    "add": binary(0),
    "sub": binary(1, 7),
    "rsub": subtract_from,
    "mul": binary(2),
    "div": binary(3, 8),
    "cat": concatenate,
    "split": split,
    "split_with_sizes": split,
    "chunk": split,
    "slice": crop,
    "pad": pad,
    "mean": mean,
    "amax": maximum,
    "adaptive_avg_pool2d": adaptive_mean,
    "avg_pool2d": mean_pool,
    "max_pool2d": max_pool,
    "flatten": flatten,
    "view": flatten,
    "reshape": flatten,
    "pixel_shuffle": lambda to, x, factor: to.layer("PixelShuffle", [x], {0: factor}),
    "pixel_unshuffle": lambda to, x, factor: to.layer("Reorg", [x], {0: factor, 1: 0}),
    "upsample_nearest2d": interpolate(NEAREST),
    "upsample_bilinear2d": interpolate(BILINEAR),
    "upsample_bicubic2d": interpolate(BICUBIC),
    "_upsample_bicubic2d_aa": enlarge_bicubically,
    "alias": same,
    "clone": same,
    "contiguous": same,
    "dropout": same,
    "to": same,
}
"""The function for each operator."""
