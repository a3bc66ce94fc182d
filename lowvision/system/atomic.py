"""Atomic file writes: write a temporary file in the same folder, then rename it."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LONG_NAME = 128
"""Bytes from which a file name is hashed in that of its temporary file: file systems allow 255."""
MACHINE = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
"""Names this machine in the names of temporary files: the processes of another one cannot be looked up."""
TEMPORARY = re.compile(rf"\..+\.{MACHINE}-(?P<process>\d+)-\d+\.part")


@contextmanager
def whole(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path whose file replaces `path` at the end of the block; create missing folders.

    Readers see the old file or the complete new one. If the block raises, the old file is kept and the temporary one
    is removed. durable: also survive a power failure, by waiting until file and folder are on the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = temporary_beside(path)
    try:
        yield part
        if durable:
            flush(part)
        os.replace(part, path)
        if durable:
            flush(path.parent)
    finally:
        part.unlink(missing_ok=True)


def temporary_beside(path: Path) -> Path:
    """Return the path of a new temporary file or folder that will be renamed to `path`; its folder must exist.

    The first call for a folder removes what writers that were killed have left in it.
    """
    _remove_stale(path.parent, os.getpid())
    # The same folder: renaming is atomic on one file system only. The name is unique per writer.
    name = path.name if len(os.fsencode(path.name)) < LONG_NAME else hashlib.sha256(os.fsencode(path.name)).hexdigest()
    return path.with_name(f".{name}.{MACHINE}-{os.getpid()}-{threading.get_ident()}.part")


@functools.lru_cache(maxsize=1024)
def _remove_stale(folder: Path, _process: int) -> None:
    """Remove the temporary files of processes that have ended; once per folder and process."""
    import psutil

    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            temporary = TEMPORARY.fullmatch(entry.name)
            if temporary and not psutil.pid_exists(int(temporary["process"])):
                _remove(entry)


def _remove(entry: os.DirEntry[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path, ignore_errors=True)
    else:
        with suppress(OSError):  # another process may have removed it
            os.unlink(entry.path)


def flush(path: Path) -> None:
    """Write a file, or the entries of a folder, from the memory of the system to the disk."""
    if os.name == "nt" and path.is_dir():  # Windows opens no folders
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
