"""What the files of this folder have in common: a network that was found, and names of tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from lowvision import Part

TENSORS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
"""What a layer may hold; the last three: BatchNorm."""


@dataclass(frozen=True)
class Found:
    """A network in a state dict."""

    part: Part
    scale: int | None
    """How far it enlarges; None: its tensors do not tell."""


def of_layers(layers: Mapping[str, str]) -> dict[str, str]:
    """The names of tensors, from the names of the layers that hold them."""
    return {f"{theirs}.{one}": f"{ours}.{one}" for theirs, ours in layers.items() for one in TENSORS}


def count(names: Iterable[str], prefix: str) -> int:
    """How many numbers stand behind `prefix` in names, if they begin at 0 and none is left out: body.0, body.1, ..."""
    behind = (name.removeprefix(prefix).partition(".")[0] for name in names if name.startswith(prefix))
    return max((int(number) for number in behind if number.isdecimal()), default=-1) + 1


def below(prefix: str, part: Part) -> Part:
    """The same network in a file in which `prefix` stands before its names."""
    return Part(
        part.choice,
        {prefix + name: tensor for name, tensor in part.state.items()},
        {prefix + name: ours for name, ours in part.names.items()},
    )


def within(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def enlarged(state: Mapping[str, Tensor], prefix: str, channels: int) -> int:
    """How far the convolutions whose names begin with `prefix` enlarge, each by a pixel shuffle behind it."""
    steps = [tensor.shape[0] for name, tensor in within(prefix, state).items() if name.endswith("weight")]
    return math.prod(math.isqrt(step // channels) for step in steps)
