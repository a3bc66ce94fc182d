"""Writes a network as an ONNX graph: the one door to torch.onnx."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim

from lowvision.errors import WeightsError, message_of
from lowvision.imaging.resize import enlarging_kernel

LAYOUT = 1
"""Raised when the graph that is made of a network changes."""
NEEDED = ("onnx", "onnxscript")


def maker() -> list[str | int]:
    """What a graph follows from besides its network. Raises WeightsError where a library is missing."""
    if lacking := [library for library in NEEDED if not find_spec(library)]:
        raise WeightsError(
            f"exporting a network needs {' and '.join(lacking)}; pip install 'lowvision-framework[onnxruntime]'"
        )
    return [LAYOUT, torch.__version__, *(version(library) for library in NEEDED)]


def write(network: nn.Module, path: Path, channels: int, size: int, step: int) -> None:
    """Write a network in eval() on the CPU, input `lq` (B,channels,h,w), output `output`, to a self-contained file.

    B, h and w are dynamic. A network that cannot be traced so gets height and width of a tile: `size`, a multiple
    of `step`. Raises WeightsError where it cannot be traced at all.
    """
    maker()
    # Unequal sides: from equal ones a trace might conclude that they always are.
    dynamic = torch.rand(2, channels, size, size + step), dict.fromkeys((0, 2, 3), Dim.DYNAMIC)
    tiles = torch.rand(2, channels, size, size), {0: Dim.DYNAMIC}
    try:
        program = _traced(network, *dynamic)
    except Exception:  # a trace of a stranger's network fails in many ways
        try:
            program = _traced(network, *tiles)
        except Exception as error:
            reason = message_of(error)[:300]
            raise WeightsError(f"this network cannot be exported, use runtime torch for it: {reason}") from error
    with _silence():
        program.save(path)


def _traced(network: nn.Module, example: torch.Tensor, dynamic: dict[int, Any]) -> torch.onnx.ONNXProgram:
    with _silence(), torch.no_grad():
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            input_names=["lq"],
            output_names=["output"],
            dynamic_shapes=(dynamic,),
            custom_translation_table={torch.ops.aten._upsample_bicubic2d_aa.default: _enlarge_bicubically},
            verbose=False,
        )
    assert program is not None
    return program


def _enlarge_bicubically(
    lq: Any, output_size: Any, align_corners: bool, scales_h: float | None = None, scales_w: float | None = None
) -> Any:
    """torch's antialiased bicubic, enlarging by a whole factor, in operators that every runtime does alike and fast.

    ONNX has one operator for it, Resize, but OpenVINO's is off by 5e-2 at the borders, and slower. So: a transposed
    convolution with Keys' kernel, which takes what is outside the image as 0, divided by the same of an image of
    ones, which is the sum of the taps inside. Raises ValueError for any other factor.
    """
    from onnxscript import ir, opset18

    if align_corners or scales_h is None or scales_h != scales_w or not float(scales_h).is_integer() or scales_h < 1:
        raise ValueError("bicubic with antialias can be exported where it enlarges both sides by one whole factor")
    factor, colours = int(scales_h), lq.shape[1]
    taps, before = enlarging_kernel(factor)
    square = torch.outer(taps, taps).float()  # (4*factor, 4*factor)

    def enlarged(image: Any, groups: int) -> Any:
        kernel = opset18.Constant(value=ir.tensor(square.expand(groups, 1, -1, -1).contiguous().numpy()))
        after = len(taps) - factor - before
        return opset18.ConvTranspose(
            image, kernel, group=groups, strides=[factor, factor], pads=[before, before, after, after]
        )

    sides = opset18.Shape(lq, start=2)
    shape = opset18.Concat(opset18.Constant(value_ints=[1, 1]), sides, axis=0)
    ones = opset18.Expand(opset18.Constant(value=ir.tensor(torch.ones(1, 1, 1, 1).numpy())), shape)
    return opset18.Div(enlarged(lq, colours), enlarged(ones, 1))


@contextmanager
def _silence() -> Iterator[None]:
    """Without what the exporter tells its own developers."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
