"""The cache on disk: decoded photographs and exported networks by key, safe between processes, limited in size.

It is in `$LOWVISION_CACHE` (by default the user cache folder of the system, e.g. `~/.cache/lowvision`) and holds at
most `$LOWVISION_CACHE_LIMIT` GiB (default 50); what was used longest ago goes first.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from lowvision.errors import RunError
from lowvision.system.atomic import whole

LAYOUT = 1
"""Part of every key; raised when what is stored under a key changes."""

SUFFIXES = (".npy", ".onnx", ".json")
"""Of what is kept: arrays, networks, answers."""


def root() -> Path:
    """Return the folder of the cache."""
    if path := os.environ.get("LOWVISION_CACHE"):
        return Path(path).expanduser()
    if sys.platform == "linux" and (former := Path("~/.cache/lowvision").expanduser()).is_dir():
        return former  # used before XDG_CACHE_HOME was
    return platformdirs.user_cache_path("lowvision", appauthor=False)


def limit() -> int:
    """How many bytes the cache may hold. Raises RunError where the variable is no number."""
    text = os.environ.get("LOWVISION_CACHE_LIMIT", "50")
    try:
        return int(float(text) * 2**30)
    except ValueError:
        raise RunError(f"LOWVISION_CACHE_LIMIT is {text!r}; give a number of GiB") from None


def key(*facts: Any) -> str:
    """A name for an array that follows from all that it was made of (anything that JSON can hold)."""
    return hashlib.sha256(json.dumps([LAYOUT, *facts], sort_keys=True).encode()).hexdigest()


def fingerprint(path: Path) -> str:
    """A name for the content of a file."""
    facts = path.stat()
    return _fingerprint(path, facts.st_size, facts.st_mtime_ns)


@functools.lru_cache(maxsize=100_000)
def _fingerprint(path: Path, size: int, changed: int) -> str:
    """Read once while size and time of change stay: every stage and every size of a photograph asks for it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def keep(name: str, make: Callable[[], np.ndarray]) -> Path:
    """The file of the array called `name`; `make` is called only if it is not there yet."""
    file = f"{name}.npy"
    if not _place(file).exists():
        array = make()  # before the file is opened: an OSError of its own is no failure to write
        return keep_file(file, lambda path: _save(path, array))
    return keep_file(file, lambda path: _save(path, make()))


def keep_file(name: str, write: Callable[[Path], None]) -> Path:
    """The file called `name`, a key and one of SUFFIXES; `write` is called with a path only if it is not there yet.

    Two processes that make the same file do not disturb each other: it appears whole, by renaming.
    Raises RunError where it cannot be written.
    """
    path = _place(name)
    with suppress(FileNotFoundError):
        with suppress(PermissionError):  # another user's
            os.utime(path)
        return path
    try:
        with whole(path) as part:
            write(part)
    except OSError as error:
        raise RunError(f"{path}: cannot write to the cache ({error}); set LOWVISION_CACHE to another folder") from None
    return path


@functools.lru_cache(maxsize=100_000)
def open_array(path: Path) -> np.ndarray:
    """The array in that file, memory-mapped and read-only. Raises RunError where no more files may be open."""
    _allow_many_files()
    try:
        return np.load(path, mmap_mode="r")
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        raise RunError(
            "each photograph is an open file, and the system allows no more of them; allow more (ulimit -n), or use "
            "fewer photographs or scales"
        ) from None


@functools.cache
def _allow_many_files() -> None:
    """As many as the system lets this user have; usually far fewer are allowed at first."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def size() -> int:
    """How many bytes the cache holds."""
    return sum(_weight(path) for path in _files())


def clear() -> int:
    """Empty the cache; how many bytes that freed."""
    freed = size()
    if root().is_dir():
        for folder in root().iterdir():
            # Only what `keep` makes: the variable may name a folder that holds other things.
            if folder.is_dir() and len(folder.name) == 2:
                shutil.rmtree(folder)
    return freed


def trim(in_use: frozenset[Path]) -> None:
    """Delete what was used longest ago, and is not in use, until the cache is within its limit."""
    total = size()
    for path in sorted((p for p in _files() if p not in in_use), key=_age):
        if total <= limit():
            return
        total -= _weight(path)
        path.unlink(missing_ok=True)


def _place(name: str) -> Path:
    return root() / name[:2] / name


def _save(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:  # np.save would add a suffix to a path
        np.save(file, array)


def _files() -> list[Path]:
    return [path for suffix in SUFFIXES for path in root().glob(f"??/*{suffix}")]


def _weight(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # another process trimmed it meanwhile
        return 0


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # as above
        return 0.0
