"""DISP in its authors' files, whose convolutions are fused already."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lowvision import Recognised
from lowvision_efficient import DISP
from lowvision_efficient.authors.names import count, recognised

MARK = "blocks.0._extern_conv_block.0.eval_conv.weight"
"""A tensor that only this network has."""
INNER = ("c1_r", "c2_r", "_extern_conv_block.0", "c3_r")
"""Convolutions of a block, in the order in which they run."""


def recognise(state: Mapping[str, Tensor]) -> Recognised | None:
    """Return the network, None for another network. Raises KeyError if a tensor is missing."""
    if MARK not in state:
        return None
    blocks = count(state, r"blocks\.(\d+)\.") + 1
    channels, colours = state["conv_1.eval_conv.weight"].shape[:2]
    layers = {"conv_1.eval_conv": "head", "conv_2": "collect", "upsampler.0": "last"}
    for k in range(blocks):
        ours = [f"blocks.{k}.start.{n}" for n in range(len(INNER) - 1)] + [f"blocks.{k}.end"]
        layers |= {f"blocks.{k}.{inner}.eval_conv": name for inner, name in zip(INNER, ours, strict=True)}
    return recognised(DISP(channels=channels, layers=blocks), state, layers, colours, len(state["upsampler.0.weight"]))
