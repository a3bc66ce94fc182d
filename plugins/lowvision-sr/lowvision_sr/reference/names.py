"""A network detected in a state dict, and operations on tensor names that the readers share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from lowvision import Part

TENSORS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
"""Tensors of a layer; the last three belong to BatchNorm."""


@dataclass(frozen=True)
class Detected:
    """A network detected in a state dict."""

    part: Part
    scale: int | None
    """Upsampling factor; None if the tensors do not determine it."""


def tensor_names(layers: Mapping[str, str]) -> dict[str, str]:
    """Map names of tensors in the file to ours, from such a map of layers."""
    return {f"{theirs}.{tensor}": f"{ours}.{tensor}" for theirs, ours in layers.items() for tensor in TENSORS}


def count_indices(names: Iterable[str], prefix: str) -> int:
    """Return the number of indices after `prefix` (body.0, body.1, ...); they are assumed contiguous from 0."""
    indices = (name.removeprefix(prefix).partition(".")[0] for name in names if name.startswith(prefix))
    return max((int(index) for index in indices if index.isdecimal()), default=-1) + 1


def add_prefix(prefix: str, part: Part) -> Part:
    """Return the same network with `prefix` before the names of the file."""
    return Part(
        part.choice,
        {prefix + name: tensor for name, tensor in part.state.items()},
        {prefix + name: ours for name, ours in part.names.items()},
    )


def strip_prefix(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix`, without the prefix."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def pixel_shuffle_scale(state: Mapping[str, Tensor], prefix: str, channels: int) -> int:
    """Return the total scale of the convolutions named `prefix`..., each of which feeds a pixel shuffle."""
    widths = [tensor.shape[0] for name, tensor in strip_prefix(prefix, state).items() if name.endswith("weight")]
    return math.prod(math.isqrt(width // channels) for width in widths)
