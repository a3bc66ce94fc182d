"""Files that are not local: in memory, in archives and in object stores, by their URL; the only use of fsspec."""

from __future__ import annotations

import glob
import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from lowvision.errors import UsageError, message_of

ARCHIVES = ("zip://", "tar://")
"""Schemes of files in which folders are packed."""


@dataclass(frozen=True)
class Location:
    """A file or folder on a file system of fsspec."""

    url: str
    """Its URL for messages."""
    path: str
    """Its path on the file system."""
    filesystem: Any = field(compare=False, repr=False)

    def __str__(self) -> str:
        return self.url

    @property
    def suffix(self) -> str:
        """Return the file name ending, in lower case."""
        return PurePosixPath(self.path).suffix.lower()

    def __truediv__(self, relative: str | PurePosixPath | Path) -> Location:
        tail = PurePosixPath(relative).as_posix()
        return Location(f"{self.url.rstrip('/')}/{tail}", posixpath.join(self.path, tail), self.filesystem)

    def sibling(self, name: str) -> Location:
        """Return the file of that name in the same folder."""
        return Location(
            f"{self.url.rpartition('/')[0]}/{name}", posixpath.join(posixpath.dirname(self.path), name), self.filesystem
        )

    def is_file(self) -> bool:
        """Return whether it is a file that exists."""
        return bool(self.filesystem.isfile(self.path))

    def is_complete(self) -> bool:
        """Return whether it is a file that is not empty."""
        return self.is_file() and bool(self.filesystem.size(self.path))

    def stamp(self) -> tuple[str, ...] | None:
        """Return properties of the file that change when it is replaced; None: there is no file."""
        self.filesystem.invalidate_cache()
        return (str(self.filesystem.ukey(self.path)),) if self.is_file() else None

    def remove(self) -> None:
        """Remove the file."""
        self.filesystem.rm_file(self.path)

    def fetch(self, to: Path) -> None:
        """Copy the file to a local path."""
        self.filesystem.get_file(self.path, str(to))

    def store(self, source: Path) -> None:
        """Write a local file here; its folders are created. Readers never see a part of it."""
        self.filesystem.makedirs(posixpath.dirname(self.path), exist_ok=True)
        part = f"{self.path}.part"
        self.filesystem.put_file(str(source), part)
        self.filesystem.mv(part, self.path)


def is_remote(text: str) -> bool:
    """Return whether a path is a URL, e.g. `memory://photos`, rather than a local path."""
    return re.match(r"[a-z][a-z0-9+.-]+://", text) is not None


def find(url: str) -> Location:
    """Return the location of a URL of fsspec; `zip://photos.zip` is a local archive, `zip://a.png::photos.zip` a file.

    Raises UsageError if fsspec or the library of that file system is missing, or it cannot be opened.
    """
    if not find_spec("fsspec"):
        raise UsageError(f"{url}: needs fsspec; pip install 'lowvision-framework[fsspec]'")
    import fsspec

    scheme = url.partition("://")[0] + "://"
    archive = url.removeprefix(scheme)
    is_whole_archive = scheme in ARCHIVES and "::" not in archive
    if is_whole_archive and not os.path.isfile(archive):
        raise UsageError(f"{url}: no such archive; give {scheme} and the path of a local file")
    full = f"{scheme}::{archive}" if is_whole_archive else url
    try:
        filesystem, path = fsspec.core.url_to_fs(full)
    except Exception as error:  # a file system can raise anything
        raise UsageError(f"{url}: cannot be opened: {message_of(error)[:300]}; check the URL") from None
    return Location(url, path, filesystem)


def files_of(location: Location) -> Iterator[tuple[Location, PurePosixPath]]:
    """Yield the files that a location selects, sorted, with their paths relative to its folder.

    It is a file, a folder, searched recursively, or a pattern. Raises UsageError if it cannot be listed.
    """
    path, system = location.path, location.filesystem
    try:
        if system.isfile(path):
            yield location, PurePosixPath(posixpath.basename(path))
            return
        has_wildcards = glob.has_magic(path)
        root = _folder_before_wildcards(path) if has_wildcards else path
        found = sorted(system.glob(path) if has_wildcards else system.find(path))
        found = [each for each in found if not has_wildcards or system.isfile(each)]
    except Exception as error:  # as above
        raise UsageError(f"{location}: cannot be listed: {message_of(error)[:300]}; check the URL") from None
    for each in found:
        relative = PurePosixPath(posixpath.relpath(f"/{each.lstrip('/')}", f"/{root.strip('/')}"))
        yield Location(_url_below(location.url, relative), each, system), relative


def _url_below(url: str, relative: PurePosixPath) -> str:
    """Return the URL of a file below a folder or a pattern; the archive after `::` stays behind."""
    head, chain, tail = url.partition("::")
    folder = (_folder_before_wildcards(head) if glob.has_magic(head) else head).rstrip("/")
    return f"{folder}{'/' if folder.endswith(':') else ''}/{relative}{chain}{tail}"


def _folder_before_wildcards(path: str) -> str:
    """Return the folder of a pattern up to its first part with wildcards."""
    parts = path.split("/")
    first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    return "/".join(parts[:first])
