"""Write a network as an ONNX graph; the only module that uses torch.onnx."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim

from lowvision.errors import WeightsError, message_of
from lowvision.imaging.resize import enlarging_kernel
from lowvision.inference.silent_export import silence

LAYOUT = 1
"""Version of the exported graph; incremented when the export of a network changes."""
LIBRARIES = ("onnx", "onnxscript")


def maker() -> list[str | int]:
    """Return the versions that determine a graph besides its network. Raises WeightsError if a library is missing."""
    if missing := [library for library in LIBRARIES if not find_spec(library)]:
        raise WeightsError(
            f"exporting a network needs {' and '.join(missing)}; pip install 'lowvision-framework[onnxruntime]'"
        )
    return [LAYOUT, torch.__version__, *(version(library) for library in LIBRARIES)]


def write(network: nn.Module, path: Path, channels: int, size: int, step: int) -> None:
    """Write a network in eval() on the CPU, input `lq` (B,channels,h,w), output `output`, to a self-contained file.

    B, h and w are dynamic. If a network cannot be traced with dynamic sides, h and w are fixed to the tile `size`, a
    multiple of `step`. Raises WeightsError if it cannot be traced at all.
    """
    maker()
    generator = torch.Generator().manual_seed(0)  # the random numbers of the caller must not depend on the cache
    # Unequal sides, because a trace with equal ones might assume that they are always equal.
    dynamic = torch.rand(2, channels, size, size + step, generator=generator), dict.fromkeys((0, 2, 3), Dim.DYNAMIC)
    tiles = torch.rand(2, channels, size, size, generator=generator), {0: Dim.DYNAMIC}
    try:
        program = _traced(network, *dynamic)
    except Exception:  # tracing a network of an unknown plugin can raise anything
        try:
            program = _traced(network, *tiles)
        except Exception as error:
            reason = message_of(error)[:300]
            raise WeightsError(f"this network cannot be exported: {reason}; use runtime torch for it") from error
    with silence():
        program.save(path)


def _traced(network: nn.Module, example: torch.Tensor, dynamic: dict[int, Any]) -> torch.onnx.ONNXProgram:
    with silence(), torch.no_grad():
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
    """Translate torch's antialiased bicubic upsampling by an integer factor to operators that all runtimes share.

    ONNX has the operator Resize, but OpenVINO's Resize is off by 5e-2 at the borders, and slower. Instead: a transposed
    convolution with Keys' kernel, which treats pixels outside the image as 0, divided by the same convolution of an
    image of ones, i.e. by the sum of the taps inside. Raises ValueError for any other factor.
    """
    from onnxscript import ir, opset18

    if align_corners or scales_h is None or scales_h != scales_w or not float(scales_h).is_integer() or scales_h < 1:
        raise ValueError(
            "antialiased bicubic can only be exported if it enlarges both sides by the same integer factor"
        )
    factor, colours = int(scales_h), lq.shape[1]
    taps, before = enlarging_kernel(factor)
    square = torch.outer(taps, taps).float()  # (4*factor, 4*factor)

    def convolve(image: Any, groups: int) -> Any:
        kernel = opset18.Constant(value=ir.tensor(square.expand(groups, 1, -1, -1).contiguous().numpy()))
        after = len(taps) - factor - before
        return opset18.ConvTranspose(
            image, kernel, group=groups, strides=[factor, factor], pads=[before, before, after, after]
        )

    sides = opset18.Shape(lq, start=2)
    shape = opset18.Concat(opset18.Constant(value_ints=[1, 1]), sides, axis=0)
    ones = opset18.Expand(opset18.Constant(value=ir.tensor(torch.ones(1, 1, 1, 1).numpy())), shape)
    return opset18.Div(convolve(lq, colours), convolve(ones, 1))
