"""RCAN in the files of the ClassSR authors' code, which kept the layout of RCAN's own authors."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lowvision import Part
from lowvision_sr import RCAN
from lowvision_sr.reference.names import Found, count, enlarged, of_layers
from lowvision_sr.reference.shift import folded

MARK = "body.0.body.0.body.3.conv_du.0.weight"
"""A tensor that no other network has."""
REDUCTION = 16
"""Of the attention's width, where it can be so: several give the same width."""


def find(state: Mapping[str, Tensor], white: float) -> Found | None:
    """The network in a state dict; None where it is another. Raises KeyError where a telling tensor is missing.

    white: its value in the pixels that the network was trained on; ours are in [0,1].
    """
    if MARK not in state:
        return None
    hidden, channels = state[MARK].shape[:2]
    ours, mean = folded(state, "head.0", "tail.1", white)
    backbone = RCAN(
        channels=channels,
        layers=count(state, "body.") - 1,  # the last is a convolution
        blocks=count(state, "body.0.body.") - 1,  # as here
        reduction=REDUCTION if max(1, channels // REDUCTION) == hidden else channels // hidden,
        mean=mean,
    )
    layers = of_layers(_layers(backbone.layers, backbone.blocks))
    return Found(Part(backbone, ours, layers), enlarged(state, "tail.0.", channels))


def _layers(groups: int, blocks: int) -> dict[str, str]:
    """Their layers -> ours."""
    layers = {"head.0": "head", f"body.{groups}": "groups_end", "tail.1": "last"}
    layers |= {f"tail.0.{n}": f"enlarge.{n}" for n in (0, 2)}
    for g in range(groups):
        layers |= {f"body.{g}.body.{blocks}": f"groups.{g}.end"}
        for b in range(blocks):
            theirs, ours = f"body.{g}.body.{b}.body", f"groups.{g}.blocks.{b}"
            layers |= {f"{theirs}.0": f"{ours}.start", f"{theirs}.2": f"{ours}.end"}
            layers |= {f"{theirs}.3.conv_du.{n}": f"{ours}.attention.{n + 1}" for n in (0, 2)}
    return layers
