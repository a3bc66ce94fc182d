"""PlainUSR in its authors' files of the deployed form, whose head and tail also contain the image's convolutions."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lowvision import Recognised
from lowvision_efficient import PRESETS, PlainUSR
from lowvision_efficient.authors.names import count, recognised

MARKS = ("head.weight", "block1.body.0.weight", "blockm.body.0.weight", "tail.0.weight")
"""Tensors that only this network has together."""
POOLED = {"0": "squeeze", "2": "coarse", "3": "excite"}
LOCAL = {"0": "weigh"}
"""Layers of an attention: the file's names -> ours."""


def recognise(state: Mapping[str, Tensor]) -> Recognised | None:
    """Return the network, None for another network. Raises KeyError if a tensor is missing."""
    if not all(mark in state for mark in MARKS):
        return None
    colours = state["head.weight"].shape[1]
    outer = [f"block{k}" for k in range(1, count(state, r"block(\d+)\.") + 1)]
    half = len(outer) // 2
    order = [*outer[:half], "blockm", *outer[half:]]
    last = count(state, r"blockm\.body\.(\d+)\.")  # the attention, after the convolutions at even numbers
    is_pooled = f"blockm.body.{last}.body.3.weight" in state
    backbone = PlainUSR(
        channels=len(state["block1.body.0.weight"]),
        layers=len(order),
        narrower=tuple(len(state[f"{block}.body.0.weight"]) for block in order[1 : half + 1]),
        convolutions=last // 2 + 1,
        attention="pooled" if is_pooled else "local",
        hidden=len(state[f"blockm.body.{last}.body.0.weight"]) if is_pooled else 1,
    )
    sizes = (PlainUSR(size=size) for size in PRESETS)
    backbone = next((size for size in sizes if structure(size) == structure(backbone)), backbone)
    layers = {"head": "head", "carry": "carry", "tail.0": "last.parts.0", "tail.1": "last.parts.1"}
    for k, block in enumerate(order):
        layers |= _block(f"{block}.body", f"blocks.{k}", last, POOLED if is_pooled else LOCAL)
    return recognised(backbone, parted(state, colours), layers, colours, len(state["tail.0.weight"]))


def structure(backbone: PlainUSR) -> tuple[object, ...]:
    """Return what determines the network: equal for a size and for its options one by one."""
    hidden = backbone.hidden if backbone.attention == "pooled" else None
    return backbone.widths(), backbone.convolutions, backbone.attention, hidden


def _block(theirs: str, ours: str, attention: int, inner: Mapping[str, str]) -> dict[str, str]:
    """Map the layers of a block; names of an attention that the block lacks have no effect."""
    layers = {f"{theirs}.{2 * n}": f"{ours}.convolutions.{n}" for n in range(attention // 2 + 1)}
    return layers | {f"{theirs}.{attention}.body.{n}": f"{ours}.attention.{name}" for n, name in inner.items()}


def parted(state: Mapping[str, Tensor], colours: int) -> dict[str, Tensor]:
    """Return the tensors with the convolutions of the image, the last channels of both ends, as separate layers."""
    head, bias, tail = state["head.weight"], state["head.bias"], state["tail.0.weight"]
    return {
        **state,
        "head.weight": head[:-colours],
        "head.bias": bias[:-colours],
        "carry.weight": head[-colours:],
        "carry.bias": bias[-colours:],
        "tail.0.weight": tail[:, :-colours],
        "tail.1.weight": tail[:, -colours:],
    }
