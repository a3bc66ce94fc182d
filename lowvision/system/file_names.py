"""Lengths of file names."""

from __future__ import annotations

import os
from pathlib import Path

LONGEST = 255
"""Bytes of a file name that common file systems allow (NTFS: as many characters)."""


def too_long(path: Path) -> str:
    """Return which part of a path is longer than file systems allow, in words; empty if none is."""
    for part in path.parts:
        if (length := len(os.fsencode(part))) > LONGEST:
            return f"the name '{part[:24]}...' has {length} bytes, more than {LONGEST}"
    return ""
