"""The layout of a state dict as a string: names and shapes of its tensors, from which spandrel recognises a network."""

from __future__ import annotations

import base64
import bz2
import json
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

MAX_INTEGERS = 16
"""Largest integer tensor whose values are always stored: some networks write options into their state dict."""

MAX_LENGTH = 8 << 20
"""Largest number of bytes of a decompressed layout; the largest of a real network has some 100,000."""

Entry = list[Any]
"""Name, type, shape, and the values if they are stored."""


def pack(state: Mapping[str, Tensor], kept: Collection[str] = ()) -> str:
    """Return the layout of a state dict, with the values of the tensors `kept` and of small integer tensors.

    It does not depend on the order of tensors or the precision of weights.
    """
    return _encoded([_entry(name, state[name], name in kept) for name in sorted(state)])


def unpack(layout: str) -> dict[str, Tensor]:
    """Return a state dict with that layout on the CPU, zero where no value is stored. Raises ValueError if invalid."""
    try:
        return {name: _tensor(kind, shape, values) for name, kind, shape, values in _decoded(layout)}
    except (ValueError, TypeError, AttributeError, RuntimeError, OverflowError, RecursionError):
        raise ValueError("is not a valid layout of a network; use {weights: FILE} instead") from None


def normal(layout: str) -> str:
    """Return the layout recompressed, since compressors differ between machines. Raises ValueError like `unpack`."""
    unpack(layout)
    return _encoded(_decoded(layout))


def _entry(name: str, tensor: Tensor, is_kept: bool) -> Entry:
    is_floating = tensor.is_floating_point()
    kind = "float32" if is_floating else str(tensor.dtype).removeprefix("torch.")
    has_values = is_kept or (not is_floating and tensor.numel() <= MAX_INTEGERS)
    return [name, kind, list(tensor.shape), tensor.tolist() if has_values else None]


def _tensor(kind: str, shape: list[int], values: object) -> Tensor:
    dtype = getattr(torch, kind)
    if values is None:  # one element in memory for any shape
        return torch.zeros((), dtype=dtype, device="cpu").expand(shape)
    return torch.tensor(values, dtype=dtype, device="cpu").reshape(shape)


def _encoded(entries: list[Entry]) -> str:
    return base64.b64encode(bz2.compress(json.dumps(entries, separators=(",", ":")).encode())).decode()


def _decoded(layout: str) -> list[Entry]:
    """Decompress a layout up to MAX_LENGTH. Raises ValueError for a longer one, because few bytes can become many."""
    try:
        decompressor = bz2.BZ2Decompressor()
        text = decompressor.decompress(base64.b64decode(layout, validate=True), MAX_LENGTH)
    except (OSError, EOFError) as error:
        raise ValueError(str(error)) from None
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError("is damaged or too long")
    return list(json.loads(text))
