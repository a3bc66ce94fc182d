"""RCAN in the files of the ClassSR authors' code, which keep the layout of RCAN's authors."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lowvision import Part
from lowvision_sr import RCAN
from lowvision_sr.reference.names import Detected, count_indices, pixel_shuffle_scale, tensor_names
from lowvision_sr.reference.shift import fold_shifts

MARK = "body.0.body.0.body.3.conv_du.0.weight"
"""A tensor that only RCAN has."""
REDUCTION = 16
"""Preferred channel reduction of the attention: several values give the same hidden width."""


def detect(state: Mapping[str, Tensor], white: float) -> Detected | None:
    """Return the network in a state dict; None for another network. Raises KeyError if a tensor is missing.

    white: value of white in the pixels that the network was trained on; our pixels are in [0,1].
    """
    if MARK not in state:
        return None
    hidden, channels = state[MARK].shape[:2]
    ours, mean = fold_shifts(state, "head.0", "tail.1", white)
    backbone = RCAN(
        channels=channels,
        layers=count_indices(state, "body.") - 1,  # the last is a convolution
        blocks=count_indices(state, "body.0.body.") - 1,  # the last is a convolution
        reduction=REDUCTION if max(1, channels // REDUCTION) == hidden else channels // hidden,
        mean=mean,
    )
    names = tensor_names(_layers(backbone.layers, backbone.blocks))
    return Detected(Part(backbone, ours, names), pixel_shuffle_scale(state, "tail.0.", channels))


def _layers(groups: int, blocks: int) -> dict[str, str]:
    """Map the file's layer names to ours."""
    layers = {"head.0": "head", f"body.{groups}": "groups_end", "tail.1": "last"}
    layers |= {f"tail.0.{n}": f"enlarge.{n}" for n in (0, 2)}
    for g in range(groups):
        layers |= {f"body.{g}.body.{blocks}": f"groups.{g}.end"}
        for b in range(blocks):
            theirs, ours = f"body.{g}.body.{b}.body", f"groups.{g}.blocks.{b}"
            layers |= {f"{theirs}.0": f"{ours}.start", f"{theirs}.2": f"{ours}.end"}
            layers |= {f"{theirs}.3.conv_du.{n}": f"{ours}.attention.{n + 1}" for n in (0, 2)}
    return layers
