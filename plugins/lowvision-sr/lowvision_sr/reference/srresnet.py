"""MSRResNet in the files of the ClassSR authors' code, and of other code with the same layout."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lowvision import Part
from lowvision_sr import SRResNet
from lowvision_sr.reference.names import Detected, count_indices, pixel_shuffle_scale, tensor_names

MARK = "recon_trunk.0.conv1.weight"
"""A tensor that only MSRResNet has."""


def detect(state: Mapping[str, Tensor]) -> Detected | None:
    """Return the network in a state dict; None for another network. Raises KeyError if a tensor is missing."""
    if MARK not in state:
        return None
    backbone = SRResNet(channels=state["conv_first.weight"].shape[0], layers=count_indices(state, "recon_trunk."))
    part = Part(backbone, state, tensor_names(_layers(backbone.layers)))
    return Detected(part, pixel_shuffle_scale(state, "upconv", backbone.channels))


def _layers(blocks: int) -> dict[str, str]:
    """Map the file's layer names to ours; our trunk begins with the activation."""
    return {
        "conv_first": "first",
        **{f"recon_trunk.{k}.conv1": f"trunk.{k + 1}.start" for k in range(blocks)},
        **{f"recon_trunk.{k}.conv2": f"trunk.{k + 1}.end" for k in range(blocks)},
        "upconv1": "enlarge.0",
        "upconv2": "enlarge.3",
        "HRconv": "refine.0",
        "conv_last": "last",
    }
