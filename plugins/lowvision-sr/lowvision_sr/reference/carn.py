"""CARN-M in the files of the ClassSR authors' code."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lowvision import Part
from lowvision_sr import CARN
from lowvision_sr.reference.names import Detected, pixel_shuffle_scale, tensor_names
from lowvision_sr.reference.shift import fold_shifts

MARK = "b1.b1.body.0.weight"
"""A tensor that only CARN has."""
AUTHORS_MARK = "c1.body.0.weight"
"""A tensor of CARN's own authors, whose files have MARK too (`lowvision_sr/carn_file.py`)."""
FUSIONS = (1, 2, 3)
"""Fusions of a block. The network has one fusion per block, and these files always have three blocks."""


def detect(state: Mapping[str, Tensor]) -> Detected | None:
    """Return the network in a state dict; None for another network. Raises KeyError if a tensor is missing."""
    if MARK not in state or AUTHORS_MARK in state:
        return None
    channels = state["entry.weight"].shape[0]
    ours, mean = fold_shifts(state, "entry", "exit", white=1)
    backbone = CARN(
        channels=channels,
        groups=channels // state[MARK].shape[1],
        batch_norm="c1.1.running_mean" in state,
        mean=mean,
    )
    part = Part(backbone, ours, tensor_names(_layers()))
    return Detected(part, pixel_shuffle_scale(state, "upsample.up.body.", channels))


def _layers() -> dict[str, str]:
    """Map the file's layer names to ours."""
    layers = {"entry": "entry", "exit": "exit"}
    for k in (1, 2, 3):
        layers |= {f"b{k}.b1.body.{n}": f"blocks.{k - 1}.residual.body.{n}" for n in (0, 2)}
        layers |= {f"b{k}.b1.body.4": f"blocks.{k - 1}.residual.mix"}
        layers |= _fusions(f"b{k}.", f"blocks.{k - 1}.")
    return layers | _fusions("", "") | {f"upsample.up.body.{n}": f"enlarge.{n}" for n in (0, 3)}


def _fusions(theirs: str, ours: str) -> dict[str, str]:
    """Map the fusions of a cascade, each a 1x1 convolution (0) and its BatchNorm (1)."""
    return {f"{theirs}c{k}.{n}": f"{ours}fusions.{k - 1}.{n}" for k in FUSIONS for n in (0, 1)}
