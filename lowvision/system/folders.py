"""Walk through folders: links are followed, and every folder is visited once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def walk(folder: Path, left_out: str | None = None, depth: int | None = None) -> Iterator[Path]:
    """Yield all files below a folder, sorted, except those in hidden folders; links to folders are followed last.

    left_out: real path of a folder that is omitted. depth: number of levels; None: all. Raises OSError for a folder
    that cannot be read.
    """
    yield from _walk(folder, left_out, depth, set())


def is_root(folder: Path) -> bool:
    """Return True for the root of a file system, which has too many files to be walked through."""
    real = Path(os.path.realpath(folder))
    return real == real.parent


def _walk(folder: Path, left_out: str | None, depth: int | None, visited: set[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in visited or real == left_out or depth == 0:
        return
    visited.add(real)
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    folders = [Path(folder, entry.name) for entry in entries if _is_folder(entry) and not entry.name.startswith(".")]
    yield from (Path(folder, entry.name) for entry in entries if not _is_folder(entry))
    for inside in sorted(folders, key=lambda path: (path.is_symlink(), path.name)):
        yield from _walk(inside, left_out, None if depth is None else depth - 1, visited)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
