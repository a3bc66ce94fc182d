"""State dicts, tensors by name: what of one does not fit another, and which tensors are the same."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

SOME = 3
"""How many names are told; a network has hundreds."""


def difference(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """What does not fit, in one line; empty when everything does."""
    missing = [name for name in unshared(wanted) if name not in found]
    unexpected = [name for name in found if name not in wanted]
    shapes = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in found and found[name].shape != tensor.shape
    ]
    parts = (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
    return "; ".join(f"{len(names)} {what}: {few(names)}" for what, names in parts if names)


def unshared(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state without the second names of a tensor, which two parts of a network share."""
    first: dict[tuple[int, tuple[int, ...]], str] = {}
    for name, tensor in state.items():
        place = (tensor.data_ptr() or id(tensor), tuple(tensor.shape))
        first.setdefault(place, name)
    kept = set(first.values())
    return {name: tensor for name, tensor in state.items() if name in kept}


def few(names: list[str]) -> str:
    """The first of the names."""
    return ", ".join(names[:SOME]) + (", ..." if len(names) > SOME else "")
