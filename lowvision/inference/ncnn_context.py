"""The arguments of ncnn's operators: blobs, and the file to which their layers are written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lowvision.inference.ncnn_file import NcnnFile, Value


class Unsupported(Exception):
    """ncnn has no layer that computes this, or this file writes none."""


@dataclass(frozen=True)
class Blob:
    """A tensor that depends on the input."""

    name: str
    shape: tuple[Any, ...]
    """Its sides (1,C,h,w) or (1,C); a side that depends on the input's is symbolic."""

    @property
    def rank(self) -> int:
        """Return the number of axes of the blob, the batch not counted."""
        return len(self.shape) - 1


@dataclass(frozen=True)
class Context:
    """The file to write to, and the shape of the result of the operator that is written."""

    file: NcnnFile
    input: Blob
    """The network's input, for layers that take their size from it."""
    shape: Any
    """The shape of the result; a list of shapes if there are several results."""

    def layer(self, kind: str, blobs: Sequence[Blob], options: Mapping[int, Value] | None = None) -> Blob:
        """Append a layer of one output, which has the shape of the result."""
        (name,) = self.file.add(kind, [blob.name for blob in blobs], options)
        return Blob(name, tuple(self.shape))

    def weighted(
        self, kind: str, blob: Blob, options: Mapping[int, Value], weight: Tensor, bias: Tensor | None
    ) -> Blob:
        """Append a layer with a weight and a bias."""
        result = self.layer(kind, [blob], options)
        self.file.store(weight, flagged=True)
        if bias is not None:
            self.file.store(bias)
        return result


def constant(weight: Any) -> Tensor:
    if not isinstance(weight, Tensor):
        raise Unsupported("weights that depend on the input")
    return weight


def pair(value: Any) -> tuple[int, int]:
    values = tuple(value) if isinstance(value, Sequence) else (value, value)
    first, last = values[0], values[-1]
    require_fixed([first, last])
    return first, last


def axis_of(axis: int, blob: Blob) -> int:
    """Return the number that an axis of a tensor has in its blob, which has no batch."""
    axis = axis if axis >= 0 else axis + len(blob.shape)
    if axis == 0:
        raise Unsupported("operations along the batch")
    return axis - 1


def require_fixed(sizes: Sequence[Any]) -> None:
    """Raise Unsupported for a size that depends on the input's."""
    if not all(isinstance(size, int) for size in sizes):
        raise Unsupported("a size that depends on the input's")


def is_same(shape: Sequence[Any], other: Sequence[Any]) -> bool:
    return len(shape) == len(other) and all(ratio_of(*sides) == 1 for sides in zip(shape, other, strict=True))


def ratio_of(numerator: Any, denominator: Any) -> float | None:
    """Return the ratio of two sides if it is the same for every input; None otherwise."""
    if isinstance(numerator, int) and isinstance(denominator, int):
        return numerator / denominator
    expressions = [getattr(getattr(side, "node", None), "expr", side) for side in (numerator, denominator)]
    ratio = expressions[0] / expressions[1]
    return float(ratio) if getattr(ratio, "is_number", False) and math.isfinite(float(ratio)) else None
