"""CARN-M in its authors' files, which hold one network with an upsampler for each of several scales."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from lowvision import Part, Recognised
from lowvision_sr import CARN, SuperResolution
from lowvision_sr.reference.names import tensor_names
from lowvision_sr.reference.shift import fold_shifts

MARKS = ("b1.b1.body.4.weight", "c1.body.0.weight", "sub_mean.shifter.weight")
"""Tensors that only CARN-M has together; CARN, whose blocks have two convolutions, lacks the first."""
SHIFTER = ".shifter."
"""Part of the names of the colour shift's tensors, and of no others."""


def recognise(state: Mapping[str, Tensor], scale: int | None) -> Recognised | None:
    """Return the network for `scale`, None for another network. Raises KeyError if an expected tensor is missing.

    Raises ValueError if the file has no upsampler for that scale, or several and no scale is given.
    """
    if not all(mark in state for mark in MARKS):
        return None
    scale = select_scale(sorted(upsampler_scales(state)), scale)
    channels = state["entry.weight"].shape[0]
    ours, mean = fold_shifts(
        {name.replace(SHIFTER, "."): tensor for name, tensor in state.items()}, "entry", "exit", white=1
    )
    kept = {name: t for name, t in ours.items() if not name.startswith("upsample.") or _upsampler_scale(name) == scale}
    groups = channels // state["b1.b1.body.0.weight"].shape[1]
    backbone = CARN(channels=channels, groups=groups, fusion_bias=True, mean=mean)
    part = Part(backbone, kept, tensor_names(_layers(scale)))
    return Recognised(SuperResolution(scale=scale), (part,))  # type: ignore[arg-type]  # pydantic checks it


def upsampler_scales(state: Mapping[str, Tensor]) -> set[int]:
    """Return the scales that the file has an upsampler for."""
    return {scale for name in state if (scale := _upsampler_scale(name))}


def select_scale(available: list[int], scale: int | None) -> int:
    """Return the scale to load. Raises ValueError if it is ambiguous or not in the file."""
    names = ", ".join(f"x{available_scale}" for available_scale in available)
    if scale is None and len(available) != 1:
        raise ValueError(f"it holds {names or 'no scale'}; choose one by `lowvision convert --scale`")
    if scale is not None and scale not in available:
        raise ValueError(f"it holds {names or 'no scale'}, not x{scale}; choose one of these")
    return available[0] if scale is None else scale


def _upsampler_scale(name: str) -> int | None:
    match = re.match(r"upsample\.up(\d)\.", name)
    return int(match[1]) if match else None


def _layers(scale: int) -> dict[str, str]:
    """Map the file's layer names to ours."""
    layers = {"entry": "entry", "exit": "exit"}
    for k in (1, 2, 3):
        layers |= {f"b{k}.b1.body.{n}": f"blocks.{k - 1}.residual.body.{n}" for n in (0, 2)}
        layers |= {f"b{k}.b1.body.4": f"blocks.{k - 1}.residual.mix", f"c{k}.body.0": f"fusions.{k - 1}.0"}
        layers |= {f"b{k}.c{n}.body.0": f"blocks.{k - 1}.fusions.{n - 1}.0" for n in (1, 2, 3)}
    return layers | {f"upsample.up{scale}.body.{n}": f"enlarge.{n}" for n in (0, 3)}
