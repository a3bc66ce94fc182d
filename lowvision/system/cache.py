"""The cache on disk: decoded photographs and exported networks by key, safe for concurrent processes.

It is in `$LOWVISION_CACHE` (by default the user cache folder of the system, e.g. `~/.cache/lowvision`) and holds at
most `$LOWVISION_CACHE_LIMIT` GiB (default 50); the least recently used files are deleted first.
"""

from __future__ import annotations

import atexit
import errno
import functools
import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from lowvision.errors import RunError
from lowvision.system.atomic import whole

logger = logging.getLogger("lowvision")

LAYOUT = 1
"""Part of every key; incremented when the stored format changes."""

SUFFIXES = (".npy", ".onnx", ".param", ".bin", ".json")
"""Suffixes of cached files: arrays, networks, results of runtime selection."""

RECORD = ".sha256"
"""Suffix of the file that records size and checksum of a cached file."""
CHECKED = 1 << 30
"""Largest number of bytes whose checksum is compared; of larger files the size is."""

logger = logging.getLogger("lowvision")
_checked: dict[Path, tuple[int, int]] = {}
"""The size and inode of each file when it was checked or written by this process."""


def root() -> Path:
    """Return the folder of the cache; a temporary one, with one message, if the user's cannot be written."""
    if path := os.environ.get("LOWVISION_CACHE"):
        try:
            return Path(path).expanduser()
        except RuntimeError:  # `~` without a home, or a name that begins with it
            return Path(path)
    try:
        former = Path("~/.cache/lowvision").expanduser()
        if sys.platform == "linux" and former.is_dir():  # used before XDG_CACHE_HOME was
            folder = former
        else:
            folder = platformdirs.user_cache_path("lowvision", appauthor=False)
        if folder.is_absolute() and _can_be_written(folder):
            return folder
    except (RuntimeError, OSError):  # no home, or one that cannot be searched
        pass
    return _temporary_root()


@functools.cache
def _temporary_root() -> Path:
    """Return a folder that is deleted when the process ends."""
    temporary = tempfile.TemporaryDirectory(prefix="lowvision-cache-")
    atexit.register(temporary.cleanup)
    logger.warning(
        "no cache folder can be written, so %s is used and deleted at the end; set LOWVISION_CACHE to keep one",
        temporary.name,
    )
    return Path(temporary.name)


@functools.cache
def _can_be_written(folder: Path) -> bool:
    """Create a folder and return True if files can be written into it, which permissions alone do not show."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def limit() -> int:
    """Return the maximum size of the cache in bytes. Raises RunError if the variable is not a number."""
    text = os.environ.get("LOWVISION_CACHE_LIMIT", "50")
    try:
        return int(float(text) * 2**30)
    except (ValueError, OverflowError):
        raise RunError(f"LOWVISION_CACHE_LIMIT is {text!r}; give a number of GiB") from None


def key(*facts: Any) -> str:
    """Return the name of a cached file: a hash of all values that determine its content, of JSON's types."""
    return hashlib.sha256(json.dumps([LAYOUT, *facts], sort_keys=True).encode()).hexdigest()


def fingerprint(path: Path) -> str:
    """Return the SHA-256 hash of a file's content, in hexadecimal."""
    facts = path.stat()
    return _fingerprint(path, facts.st_size, facts.st_mtime_ns)


@functools.lru_cache(maxsize=100_000)
def _fingerprint(path: Path, size: int, changed: int) -> str:
    """Return the hash; cached while size and modification time are unchanged, because every stage needs it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def keep(name: str, make: Callable[[], np.ndarray]) -> Path:
    """Return the cached file of an array; call `make` and write it if it does not exist."""
    file = f"{name}.npy"
    if not _path(file).exists() or damage_of(_path(file)):
        array = make()  # before the file is opened: an OSError of `make` is not a write error
        return keep_file(file, lambda path: _save(path, array))
    return keep_file(file, lambda path: _save(path, make()))


def keep_file(name: str, write: Callable[[Path], None]) -> Path:
    """Return a cached file, named by a key and one of SUFFIXES; call `write` with a path if it does not exist.

    Processes may write the same file concurrently: it is renamed into place when complete.
    Raises RunError if it cannot be written.
    """
    path = _path(name)
    with suppress(FileNotFoundError, NotADirectoryError):  # the latter is reported by writing
        with suppress(PermissionError):  # a file of another user
            os.utime(path)
        if not (damage := damage_of(path)):
            return path
        logger.warning("%s: the cached file is damaged (%s); it is made again", path, damage)
        _forget(path)
    try:
        with whole(path) as part:
            write(part)
        with whole(_record(path)) as part:
            part.write_text(f"{_bytes_of(path)} {fingerprint(path)}")
        _checked[path] = _state(path)
    except OSError as error:
        raise RunError(f"{path}: cannot be cached ({error}); set LOWVISION_CACHE to another folder") from None
    return path


@functools.lru_cache(maxsize=100_000)
def open_array(path: Path) -> np.ndarray:
    """Return the array of a file, memory-mapped and read-only. Raises RunError if too many files are open."""
    _allow_many_files()
    try:
        return np.load(path, mmap_mode="r")
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        raise RunError(
            f"{path}: too many open files, one per photograph and scale; raise the limit (ulimit -n), or use fewer "
            "photographs or scales"
        ) from None


@functools.cache
def _allow_many_files() -> None:
    """Raise the limit of open files to the maximum for this user; the default is much lower."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))


def size() -> int:
    """Return the size of the cache in bytes."""
    return sum(_bytes_of(path) for path in _files())


def clear() -> int:
    """Empty the cache; return the number of bytes freed."""
    freed = size()
    if root().is_dir():
        for folder in root().iterdir():
            # Only folders that `keep` creates: the variable may name a folder with other content.
            if folder.is_dir() and len(folder.name) == 2:
                shutil.rmtree(folder)
    return freed


def trim(in_use: frozenset[Path]) -> None:
    """Delete the least recently used files that are not in use until the cache is within its limit."""
    total = size()
    for path in sorted((p for p in _files() if p not in in_use), key=_last_use):
        if total <= limit():
            return
        total -= _bytes_of(path)
        _forget(path)


def damage_of(path: Path) -> str:
    """Return what is wrong with a cached file; empty if nothing is. Raises FileNotFoundError if there is none.

    Size and checksum are compared with those that were recorded when it was written, once per process unless it
    changes. A file without a record, of an older version, is damaged only if it is empty.
    """
    if _checked.get(path) == _state(path):
        return ""
    try:
        size, digest = _record(path).read_text().split()
    except (OSError, ValueError):
        return "" if path.stat().st_size else "it is empty"
    if str(path.stat().st_size) != size:
        return f"it has {path.stat().st_size} bytes instead of {size[:20]}"
    if path.stat().st_size <= CHECKED and fingerprint(path) != digest:
        return "its checksum differs"
    _checked[path] = _state(path)
    return ""


def _state(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_size, facts.st_ino


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}{RECORD}")


def _forget(path: Path) -> None:
    with suppress(PermissionError):  # a file of another user, which is replaced
        path.unlink(missing_ok=True)
        _record(path).unlink(missing_ok=True)


def _path(name: str) -> Path:
    return root() / name[:2] / name


def _save(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:  # np.save would add a suffix to a path
        np.save(file, array)


def _files() -> list[Path]:
    return [path for suffix in SUFFIXES for path in root().glob(f"??/*{suffix}")]


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # deleted by another process
        return 0


def _last_use(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # as above
        return 0.0
