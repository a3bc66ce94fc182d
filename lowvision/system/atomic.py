"""Files that appear whole: written beside their place, then renamed into it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write what becomes the file at `path` when the block ends; folders on the way are made.

    A reader sees the old file or the whole new one. When the block raises, the old one stays and the part is removed.
    """
    # The same folder: replacing is atomic on one disk only. Two writers of one file do not meet.
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
