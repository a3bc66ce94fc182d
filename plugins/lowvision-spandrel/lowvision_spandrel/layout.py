"""The layout of a state as one word: names and shapes of its tensors, from which spandrel recognises a network."""

from __future__ import annotations

import base64
import bz2
import json
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

FEW = 16
"""So many whole numbers are kept as they are: some networks write their own options into their state."""

Entry = list[Any]
"""Name, type, shape, and the values where they are kept."""


def pack(state: Mapping[str, Tensor], kept: Collection[str] = ()) -> str:
    """The layout of a state, with the values of the tensors `kept`, and of few whole numbers.

    Two states that differ in order, or in the precision of their weights, have the same.
    """
    return _encoded([_entry(name, state[name], name in kept) for name in sorted(state)])


def unpack(layout: str) -> dict[str, Tensor]:
    """A state in that layout, on the CPU, zero where no value is kept. Raises ValueError where it is none."""
    try:
        return {name: _tensor(kind, shape, values) for name, kind, shape, values in _decoded(layout)}
    except (ValueError, TypeError, AttributeError, RuntimeError):
        raise ValueError("is no layout of a network; let lowvision write it: {weights: FILE}") from None


def normal(layout: str) -> str:
    """The same layout, compressed by this machine: another one may do it differently. Raises ValueError as `unpack`."""
    unpack(layout)
    return _encoded(_decoded(layout))


def _entry(name: str, tensor: Tensor, is_kept: bool) -> Entry:
    is_floating = tensor.is_floating_point()
    kind = "float32" if is_floating else str(tensor.dtype).removeprefix("torch.")
    has_values = is_kept or (not is_floating and tensor.numel() <= FEW)
    return [name, kind, list(tensor.shape), tensor.tolist() if has_values else None]


def _tensor(kind: str, shape: list[int], values: object) -> Tensor:
    dtype = getattr(torch, kind)
    if values is None:
        return torch.zeros(shape, dtype=dtype, device="cpu")
    return torch.tensor(values, dtype=dtype, device="cpu").reshape(shape)


def _encoded(entries: list[Entry]) -> str:
    return base64.b64encode(bz2.compress(json.dumps(entries, separators=(",", ":")).encode())).decode()


def _decoded(layout: str) -> list[Entry]:
    try:
        return list(json.loads(bz2.decompress(base64.b64decode(layout, validate=True))))
    except OSError as error:
        raise ValueError(str(error)) from None
