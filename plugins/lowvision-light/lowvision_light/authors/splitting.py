"""Splitting of one convolution's tensors into several, and the map of their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor


def tensor_names(layers: Mapping[str, str]) -> dict[str, str]:
    """Map names of tensors in the file to ours, from such a map of layers."""
    return {f"{theirs}.{kind}": f"{ours}.{kind}" for theirs, ours in layers.items() for kind in ("weight", "bias")}


def by_inputs(state: dict[str, Tensor], theirs: str, ours: Sequence[str], widths: Sequence[int]) -> dict[str, str]:
    """Split the convolution `theirs` of a file by input channels, in place; return the names of its parts -> ours.

    The first part keeps the bias, if there is one: the results of the parts are added.
    """
    parts = state.pop(f"{theirs}.weight").split(list(widths), dim=1)
    state |= {f"{theirs}.{n}.weight": part for n, part in enumerate(parts)}
    if f"{theirs}.bias" in state:
        state[f"{theirs}.0.bias"] = state.pop(f"{theirs}.bias")
    return {f"{theirs}.{n}": name for n, name in enumerate(ours)}


def by_outputs(state: dict[str, Tensor], theirs: str, ours: Sequence[str], widths: Sequence[int]) -> dict[str, str]:
    """Split the convolution `theirs` of a file by output channels, in place; return the names of its parts -> ours."""
    for kind in ("weight", "bias"):
        parts = state.pop(f"{theirs}.{kind}").split(list(widths))
        state |= {f"{theirs}.{n}.{kind}": part for n, part in enumerate(parts)}
    return {f"{theirs}.{n}": name for n, name in enumerate(ours)}


def count(names: Iterable[str], pattern: str) -> int:
    """Return the largest number that the group of `pattern` matches at the start of a name; 0 if none does."""
    matches = (re.match(pattern, name) for name in names)
    return max((int(match[1]) for match in matches if match), default=0)
