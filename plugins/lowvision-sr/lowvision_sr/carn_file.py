"""CARN-M in its authors' files, which hold one network with an end for each of several scales."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from lowvision import Part, Recognised
from lowvision_sr import CARN, SuperResolution
from lowvision_sr.reference.names import of_layers
from lowvision_sr.reference.shift import folded

MARKS = ("b1.b1.body.4.weight", "c1.body.0.weight", "sub_mean.shifter.weight")
"""Tensors that no other network has together; CARN, whose blocks have two convolutions, lacks the first."""
SHIFTER = ".shifter."
"""What stands in the names of the colour shift, and in no other."""


def recognise(state: Mapping[str, Tensor], scale: int | None) -> Recognised | None:
    """Return the network for `scale`, None for another network. Raises KeyError if a tensor that decides is missing.

    Raises ValueError if the file has no end for that scale, or several and no scale is given.
    """
    if not all(mark in state for mark in MARKS):
        return None
    scale = chosen(sorted(ends(state)), scale)
    channels = state["entry.weight"].shape[0]
    ours, mean = folded(
        {name.replace(SHIFTER, "."): tensor for name, tensor in state.items()}, "entry", "exit", white=1
    )
    kept = {name: tensor for name, tensor in ours.items() if not name.startswith("upsample.") or _end(name) == scale}
    groups = channels // state["b1.b1.body.0.weight"].shape[1]
    backbone = CARN(channels=channels, groups=groups, fusion_bias=True, mean=mean)
    part = Part(backbone, kept, of_layers(_layers(scale)))
    return Recognised(SuperResolution(scale=scale), (part,))  # type: ignore[arg-type]  # one of those that there are


def ends(state: Mapping[str, Tensor]) -> set[int]:
    """Return the scales that the file has an end for."""
    return {scale for name in state if (scale := _end(name))}


def chosen(there: list[int], scale: int | None) -> int:
    """Return the scale to take of those in the file. Raises ValueError if that is not clear."""
    names = ", ".join(f"x{one}" for one in there)
    if scale is None and len(there) != 1:
        raise ValueError(f"it holds {names or 'no scale'}; choose one, e.g. --format 'carn_file: {{scale: 4}}'")
    if scale is not None and scale not in there:
        raise ValueError(f"it holds {names or 'no scale'}, not x{scale}; choose one of these by the format's scale")
    return there[0] if scale is None else scale


def _end(name: str) -> int | None:
    found = re.match(r"upsample\.up(\d)\.", name)
    return int(found[1]) if found else None


def _layers(scale: int) -> dict[str, str]:
    """Return the names of the file's layers -> ours."""
    layers = {"entry": "entry", "exit": "exit"}
    for k in (1, 2, 3):
        layers |= {f"b{k}.b1.body.{n}": f"blocks.{k - 1}.residual.body.{n}" for n in (0, 2)}
        layers |= {f"b{k}.b1.body.4": f"blocks.{k - 1}.residual.mix", f"c{k}.body.0": f"fusions.{k - 1}.0"}
        layers |= {f"b{k}.c{n}.body.0": f"blocks.{k - 1}.fusions.{n - 1}.0" for n in (1, 2, 3)}
    return layers | {f"upsample.up{scale}.body.{n}": f"enlarge.{n}" for n in (0, 3)}
