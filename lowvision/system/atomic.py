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
def whole(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path whose file replaces `path` at the end of the block; create missing folders.

    Readers see the old file or the complete new one. If the block raises, the old file is kept and the temporary one
    is removed. durable: also survive a power failure, by waiting until file and folder are on the disk.
    """
    # The same folder: renaming is atomic on one file system only. The name is unique per writer.
    name = path.name if len(os.fsencode(path.name)) < LONG_NAME else hashlib.sha256(os.fsencode(path.name)).hexdigest()
    part = path.with_name(f".{name}.{os.getpid()}-{threading.get_ident()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        if durable:
            flush(part)
        os.replace(part, path)
        if durable:
            flush(path.parent)
    finally:
        part.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Write a file, or the entries of a folder, from the memory of the system to the disk."""
    if os.name == "nt" and path.is_dir():  # Windows opens no folders
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
