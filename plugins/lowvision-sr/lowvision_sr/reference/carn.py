"""CARN-M in the files of the ClassSR authors' code."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lowvision import Part
from lowvision_sr import CARN
from lowvision_sr.reference.names import Found, enlarged, of_layers
from lowvision_sr.reference.shift import folded

MARK = "b1.b1.body.0.weight"
"""A tensor that no other network has."""
OTHERS = "c1.body.0.weight"
"""A tensor of CARN's own authors, whose files have MARK too (`lowvision_sr/carn_file.py`)."""
FUSIONS = (1, 2, 3)
"""In a block; the whole network has as many as blocks, and these files have always three blocks."""


def find(state: Mapping[str, Tensor]) -> Found | None:
    """The network in a state dict; None where it is another. Raises KeyError where a telling tensor is missing."""
    if MARK not in state or OTHERS in state:
        return None
    channels = state["entry.weight"].shape[0]
    ours, mean = folded(state, "entry", "exit", white=1)
    backbone = CARN(
        channels=channels,
        groups=channels // state[MARK].shape[1],
        batch_norm="c1.1.running_mean" in state,
        mean=mean,
    )
    return Found(Part(backbone, ours, of_layers(_layers())), enlarged(state, "upsample.up.body.", channels))


def _layers() -> dict[str, str]:
    """Their layers -> ours."""
    layers = {"entry": "entry", "exit": "exit"}
    for k in (1, 2, 3):
        layers |= {f"b{k}.b1.body.{n}": f"blocks.{k - 1}.residual.body.{n}" for n in (0, 2)}
        layers |= {f"b{k}.b1.body.4": f"blocks.{k - 1}.residual.mix"}
        layers |= _fusions(f"b{k}.", f"blocks.{k - 1}.")
    return layers | _fusions("", "") | {f"upsample.up.body.{n}": f"enlarge.{n}" for n in (0, 3)}


def _fusions(theirs: str, ours: str) -> dict[str, str]:
    """A 1x1 convolution and its BatchNorm, as often as parts are joined."""
    return {f"{theirs}c{k}.{n}": f"{ours}fusions.{k - 1}.{n}" for k in FUSIONS for n in (0, 1)}
