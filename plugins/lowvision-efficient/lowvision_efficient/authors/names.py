"""Names of tensors, the scale and the task that a file's shapes imply."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from lowvision import Backbone, Part, Recognised


def recognised(
    backbone: Backbone, state: Mapping[str, Tensor], layers: Mapping[str, str], colours: int, subpixels: int
) -> Recognised:
    """Return one network for super-resolution.

    layers: from the names of the file's layers to ours. subpixels: output channels of its last convolution.
    Raises ValueError if they are not a square multiple of the colours.
    """
    names = {f"{theirs}.{kind}": f"{ours}.{kind}" for theirs, ours in layers.items() for kind in ("weight", "bias")}
    return Recognised(task(colours, subpixels), (Part(backbone, state, names),))


def task(colours: int, subpixels: int) -> dict[str, Any]:
    """Return the task as a recipe names it. Raises ValueError as `recognised` does."""
    scale = math.isqrt(subpixels // colours)
    if scale**2 * colours != subpixels:
        raise ValueError(f"its last convolution makes {subpixels} channels, which is no pixel shuffle of {colours}")
    return {"sr": {"scale": scale, "channels": colours}}


def count(names: Iterable[str], pattern: str) -> int:
    """Return the largest number that the group of `pattern` matches at the start of a name; 0 if none does."""
    matches = (re.match(pattern, name) for name in names)
    return max((int(match[1]) for match in matches if match), default=0)
