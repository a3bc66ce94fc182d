"""RLFN in its authors' files, which work on pixels in 0..255."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lowvision import Recognised
from lowvision_efficient import RLFN
from lowvision_efficient.authors.names import count, recognised

MARK = "block_1.esa.conv_f.weight"
"""A tensor that no other network has, together with NEXT."""
NEXT = "block_1.c3_r.weight"
INNER = {
    "c1_r": "first",
    "c2_r": "second",
    "c3_r": "third",
    "c5": "mix",
    "esa.conv1": "attention.squeeze",
    "esa.conv_f": "attention.fine",
    "esa.conv2": "attention.halve",
    "esa.conv3": "attention.coarse",
    "esa.conv4": "attention.excite",
}
"""Layers of a block: the file's names -> ours."""
FIRST, LAST = "conv_1", "upsampler.0"


def recognise(state: Mapping[str, Tensor], white: float) -> Recognised | None:
    """Return the network, None for another network. Raises KeyError if a tensor is missing.

    white: value of white in the pixels that the file's network takes and returns.
    """
    if MARK not in state or NEXT not in state:
        return None
    blocks = count(state, r"block_(\d+)\.")
    channels, colours = state[f"{FIRST}.weight"].shape[:2]
    layers = {FIRST: "head", "conv_2": "blocks_end", LAST: "last"}
    layers |= {f"block_{k + 1}.{theirs}": f"blocks.{k}.{ours}" for k in range(blocks) for theirs, ours in INNER.items()}
    backbone = RLFN(channels=channels, layers=blocks, hidden=len(state[MARK]))
    return recognised(backbone, in_unit_range(state, white), layers, colours, len(state[f"{LAST}.weight"]))


def in_unit_range(state: Mapping[str, Tensor], white: float) -> dict[str, Tensor]:
    """Return the tensors of the same network for pixels in [0,1].

    The weight of the first convolution and all of the last one are scaled. This is exact, also at the borders.
    """
    scaled = {
        f"{FIRST}.weight": state[f"{FIRST}.weight"] * white,
        f"{LAST}.weight": state[f"{LAST}.weight"] / white,
        f"{LAST}.bias": state[f"{LAST}.bias"] / white,
    }
    return {**state, **scaled}
