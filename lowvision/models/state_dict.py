"""State dicts (tensors by name): their differences, and tensors with two names."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

MAX_NAMES = 3
"""Names in a message; a network has hundreds."""


def difference(expected: Mapping[str, Tensor], actual: Mapping[str, Tensor]) -> str:
    """Return the differences of names and shapes in one line; empty if there are none."""
    missing = [name for name in unshared(expected) if name not in actual]
    unexpected = [name for name in actual if name not in expected]
    shapes = [
        f"{name} {tuple(actual[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in actual and actual[name].shape != tensor.shape
    ]
    parts = (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
    return "; ".join(f"{len(names)} {what}: {few(names)}" for what, names in parts if names)


def unshared(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state with one name per tensor; two modules of a network may share one."""
    first_names: dict[tuple[int, tuple[int, ...]], str] = {}
    for name, tensor in state.items():
        identity = (tensor.data_ptr() or id(tensor), tuple(tensor.shape))
        first_names.setdefault(identity, name)
    unique = set(first_names.values())
    return {name: tensor for name, tensor in state.items() if name in unique}


def few(names: list[str]) -> str:
    """Return the first names as a list for messages."""
    return ", ".join(names[:MAX_NAMES]) + (", ..." if len(names) > MAX_NAMES else "")
