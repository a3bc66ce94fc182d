"""BSRN in its authors' files, whose concatenations our network splits."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lowvision import Recognised
from lowvision_efficient import BSRN
from lowvision_efficient.authors.names import count, recognised
from lowvision_efficient.bsrn import COPIES, STEPS

MARK = "B1.esa.conv3_.pw.weight"
"""A tensor that only this network has."""
INNER = {
    **{f"c{n + 1}_d": f"distil.{n}" for n in range(STEPS - 1)},
    "esa.conv1": "spatial.squeeze",
    "esa.conv_f": "spatial.fine",
    "esa.conv4": "spatial.excite",
    "cca.conv_du.0": "channel.squeeze",
    "cca.conv_du.2": "channel.excite",
}
"""Plain convolutions of a block: the file's names -> ours."""
SEPARABLE = {
    **{f"c{n + 1}_r": f"refine.{n}" for n in range(STEPS - 1)},
    "c4": "end",
    "esa.conv2": "spatial.halve",
    "esa.conv_max": "spatial.coarse.0",
    "esa.conv3": "spatial.coarse.1",
    "esa.conv3_": "spatial.coarse.2",
}
"""Separable convolutions of a block."""


def recognise(state: Mapping[str, Tensor]) -> Recognised | None:
    """Return the network, None for another network. Raises KeyError if a tensor is missing."""
    if MARK not in state:
        return None
    blocks = count(state, r"B(\d+)\.")
    channels, copied = state["fea_conv.pw.weight"].shape[:2]
    last = "upsampler.upsampleOneStep.0"
    layers = {last: "last"} | _separable("fea_conv", "head") | _separable("c2", "blocks_end")
    joined = dict(state)
    layers |= split(joined, "c1", "collect", blocks)
    for k in range(blocks):
        theirs, ours = f"B{k + 1}", f"blocks.{k}"
        layers |= {f"{theirs}.{name}": f"{ours}.{mine}" for name, mine in INNER.items()}
        for name, mine in SEPARABLE.items():
            layers |= _separable(f"{theirs}.{name}", f"{ours}.{mine}")
        layers |= split(joined, f"{theirs}.c5", f"{ours}.fuse", STEPS)
    backbone = BSRN(channels=channels, layers=blocks)
    return recognised(backbone, joined, layers, copied // COPIES, len(state[f"{last}.weight"]))


def split(state: dict[str, Tensor], theirs: str, ours: str, parts: int) -> dict[str, str]:
    """Split the 1x1 convolution `theirs` of a concatenation into one for each part, in place; return their names.

    The name of a part is the name of the whole and its number; the first part keeps the bias.
    """
    weight, bias = state.pop(f"{theirs}.weight"), state.pop(f"{theirs}.bias")
    state |= {f"{theirs}.{n}.weight": part for n, part in enumerate(weight.chunk(parts, dim=1))}
    state[f"{theirs}.0.bias"] = bias
    return {f"{theirs}.{n}": f"{ours}.parts.{n}" for n in range(parts)}


def _separable(theirs: str, ours: str) -> dict[str, str]:
    return {f"{theirs}.pw": f"{ours}.pointwise", f"{theirs}.dw": f"{ours}.depthwise"}
