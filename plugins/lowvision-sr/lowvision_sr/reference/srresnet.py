"""MSRResNet in the files of the ClassSR authors' code, and of others that took it over."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lowvision import Part
from lowvision_sr import SRResNet
from lowvision_sr.reference.names import Found, count, enlarged, of_layers

MARK = "recon_trunk.0.conv1.weight"
"""A tensor that no other network has."""


def find(state: Mapping[str, Tensor]) -> Found | None:
    """The network in a state dict; None where it is another. Raises KeyError where a telling tensor is missing."""
    if MARK not in state:
        return None
    backbone = SRResNet(channels=state["conv_first.weight"].shape[0], layers=count(state, "recon_trunk."))
    return Found(
        Part(backbone, state, of_layers(_layers(backbone.layers))), enlarged(state, "upconv", backbone.channels)
    )


def _layers(blocks: int) -> dict[str, str]:
    """Their layers -> ours; our trunk begins with the activation."""
    return {
        "conv_first": "first",
        **{f"recon_trunk.{k}.conv1": f"trunk.{k + 1}.start" for k in range(blocks)},
        **{f"recon_trunk.{k}.conv2": f"trunk.{k + 1}.end" for k in range(blocks)},
        "upconv1": "enlarge.0",
        "upconv2": "enlarge.3",
        "HRconv": "refine.0",
        "conv_last": "last",
    }
