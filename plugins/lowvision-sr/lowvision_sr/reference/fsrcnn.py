"""FSRCNN in the files of the ClassSR authors' code."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lowvision import Part
from lowvision_sr import FSRCNN
from lowvision_sr.reference.names import Found, count, of_layers

MARK = "head_conv.0.weight"
"""A tensor that no other network has."""


def find(state: Mapping[str, Tensor]) -> Found | None:
    """The network in a state dict; None where it is another. Raises KeyError where a telling tensor is missing."""
    if MARK not in state:
        return None
    layers = count(state, "body_conv.") - 3  # the others shrink, activate, expand
    backbone = FSRCNN(
        channels=state[MARK].shape[0], shrink=state["body_conv.0.0.weight"].shape[0], layers=max(layers, 1)
    )
    return Found(Part(backbone, state, of_layers(_layers(backbone.layers))), scale=None)


def _layers(mapping: int) -> dict[str, str]:
    """Their layers -> ours, with so many of them mapping."""
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
