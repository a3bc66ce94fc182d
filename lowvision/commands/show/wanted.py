"""What is asked of `show` besides a name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lowvision.errors import UsageError


@dataclass(frozen=True)
class Wanted:
    """What is asked besides the name."""

    changes: tuple[str, ...] = ()
    """`option=value`: of a backbone or a classifier its options, of a recipe overrides."""
    width: int | None = None
    height: int | None = None
    """Of the input for which cost is counted, in LQ pixels; None: a tile."""
    scale: int | None = None
    """Of the task for which a network is built; None: the largest that it can be built for."""


def read(changes: Sequence[str], size: str | None, scale: int | None) -> Wanted:
    """What the words of the command ask. Raises UsageError for a size that is none."""
    if size is None:
        return Wanted(tuple(changes), scale=scale)
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", size)
    if not found:
        raise UsageError(f"--size {size}: give width and height of the input in pixels, as 32x32")
    return Wanted(tuple(changes), int(found[1]), int(found[2]), scale)
