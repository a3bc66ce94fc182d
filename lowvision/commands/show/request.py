"""Arguments of `lowvision show` besides the name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lowvision.errors import UsageError


@dataclass(frozen=True)
class ShowRequest:
    """Arguments besides the name."""

    changes: tuple[str, ...] = ()
    """`option=value`: options of a backbone or a classifier, or overrides of a recipe."""
    width: int | None = None
    height: int | None = None
    """Input size for which cost is counted, in LQ pixels; None: one tile."""
    scale: int | None = None
    """Scale of the task for which a network is built; None: the largest supported one."""


def parse(changes: Sequence[str], size: str | None, scale: int | None) -> ShowRequest:
    """Parse the arguments of the command. Raises UsageError for an invalid size."""
    if size is None:
        return ShowRequest(tuple(changes), scale=scale)
    match = re.fullmatch(r"([1-9]\d{0,8})x([1-9]\d{0,8})", size)
    if not match:
        raise UsageError(f"--size {size}: must be width and height in pixels; give e.g. 32x32")
    return ShowRequest(tuple(changes), int(match[1]), int(match[2]), scale)
