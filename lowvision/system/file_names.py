"""Lengths of file names."""

from __future__ import annotations

import os
from pathlib import Path

LONGEST = 255
"""Bytes of a file name that common file systems allow (NTFS: as many characters)."""


def too_long(path: Path) -> str:
    """Return a description of the path part that is longer than file systems allow; empty if none is."""
    for part in path.parts:
        if (length := len(os.fsencode(part))) > LONGEST:
            return f"the name '{part[:24]}...' has {length} bytes, more than {LONGEST}"
    return ""
