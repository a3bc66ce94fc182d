"""FSRCNN in the files of the ClassSR authors' code."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lowvision import Part
from lowvision_sr import FSRCNN
from lowvision_sr.reference.names import Detected, count_indices, tensor_names

MARK = "head_conv.0.weight"
"""A tensor that only FSRCNN has."""


def detect(state: Mapping[str, Tensor]) -> Detected | None:
    """Return the network in a state dict; None for another network. Raises KeyError if a tensor is missing."""
    if MARK not in state:
        return None
    layers = count_indices(state, "body_conv.") - 3  # the other three shrink, activate, expand
    backbone = FSRCNN(
        channels=state[MARK].shape[0], shrink=state["body_conv.0.0.weight"].shape[0], layers=max(layers, 1)
    )
    return Detected(Part(backbone, state, tensor_names(_layers(backbone.layers))), scale=None)


def _layers(mapping: int) -> dict[str, str]:
    """Map the file's layer names to ours; mapping: the number of mapping convolutions."""
    return {
        "head_conv.0": "features.0",
        "head_conv.1": "features.1",
        "body_conv.0.0": "features.2",
        "body_conv.0.1": "features.3",
        **{f"body_conv.{1 + k}": f"features.{4 + k}" for k in range(mapping)},
        f"body_conv.{mapping + 1}": f"features.{mapping + 4}",
        f"body_conv.{mapping + 2}.0": f"features.{mapping + 5}",
        f"body_conv.{mapping + 2}.1": f"features.{mapping + 6}",
        "tail_conv": "enlarge",
    }
