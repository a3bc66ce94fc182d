"""Shorten an input that fails, so that its cause is easier to see."""

from __future__ import annotations

import time
from collections.abc import Callable


def minimised(content: bytes, fails: Callable[[bytes], bool], seconds: float = 20) -> bytes:
    """Return the shortest failing part of an input: omit halves, quarters, and so on."""
    ends, step = time.monotonic() + seconds, max(1, len(content) // 2)
    while step and time.monotonic() < ends:
        at, before = 0, len(content)
        while at < len(content) and time.monotonic() < ends:
            shorter = content[:at] + content[at + step :]
            if fails(shorter):
                content = shorter
            else:
                at += step
        step = step // 2 or int(len(content) < before)  # single bytes until each one is needed
    return content
