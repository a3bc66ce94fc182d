"""Refuse pipes and devices where a file is read: opening a pipe waits for a writer, and a device may never end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def check(path: Path) -> None:
    """Raise OSError if the path is missing, or is neither a regular file nor a folder."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a regular file", str(path))
