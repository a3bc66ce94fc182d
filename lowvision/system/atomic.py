"""Atomic file writes: write a temporary file in the same folder, then rename it."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONG_NAME = 128
"""Bytes from which a file name is hashed in that of its temporary file: file systems allow 255."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path whose file replaces `path` at the end of the block; create missing folders.

    Readers see the old file or the complete new one. If the block raises, the old file is kept and the temporary one
    is removed.
    """
    # The same folder: renaming is atomic on one file system only. The name is unique per writer.
    name = path.name if len(os.fsencode(path.name)) < LONG_NAME else hashlib.sha256(os.fsencode(path.name)).hexdigest()
    part = path.with_name(f".{name}.{os.getpid()}-{threading.get_ident()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
