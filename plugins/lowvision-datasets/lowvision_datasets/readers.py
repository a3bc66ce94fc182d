"""Readers of zip archives, LMDB and HDF5; each opens its file once per process."""

from __future__ import annotations

import functools
import os
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowvision import Reader


@dataclass(frozen=True)
class ZipReader(Reader):
    """The files of a zip archive."""

    path: str

    def __str__(self) -> str:
        return self.path

    def names(self) -> list[str]:
        """Return the names of all files, sorted."""
        return sorted(info.filename for info in _zip(self.path, os.getpid()).infolist() if not info.is_dir())

    def read(self, key: str) -> bytes:
        return _zip(self.path, os.getpid()).read(key)

    def fingerprint(self, key: str) -> str:
        info = _zip(self.path, os.getpid()).getinfo(key)
        return f"crc {info.CRC:08x}, {info.file_size} bytes"


@dataclass(frozen=True)
class LMDBReader(Reader):
    """The values of an LMDB folder."""

    path: str

    def __str__(self) -> str:
        return self.path

    def names(self) -> list[str]:
        """Return all keys, sorted."""
        with _lmdb(self.path, os.getpid()).begin() as transaction, transaction.cursor() as cursor:
            return sorted(key.decode() for key in cursor.iternext(keys=True, values=False))

    def read(self, key: str) -> bytes:
        with _lmdb(self.path, os.getpid()).begin() as transaction:
            value = transaction.get(key.encode())
        if value is None:
            raise KeyError(key)
        return bytes(value)


@dataclass(frozen=True)
class HDF5Reader(Reader):
    """The datasets of an HDF5 file; a key is the path of one, and `PATH#N` its item N."""

    path: str

    def __str__(self) -> str:
        return self.path

    def keys(self, root: str) -> list[str]:
        """Return the keys below a group or dataset, sorted; a dataset of four dimensions has one per item."""
        import h5py

        file = _hdf5(self.path, os.getpid())
        if root not in file:
            raise KeyError(f"no group or dataset '{root}'")
        paths: list[str] = []

        def add(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                paths.extend(_items(item))

        add(root, file[root])
        if isinstance(file[root], h5py.Group):
            file[root].visititems(add)
        return sorted(paths, key=_numbers_last)

    def read(self, key: str) -> bytes | NDArray[np.generic]:
        name, _, number = key.partition("#")
        dataset = _hdf5(self.path, os.getpid())[name]
        value = np.asarray(dataset[int(number)] if number else dataset[()])
        # One dimension: the bytes of an image file.
        return value.tobytes() if value.ndim < 2 else value


def _items(dataset: Any) -> list[str]:
    """Return one key per image: bytes, or pixels of two or three dimensions."""
    name: str = dataset.name
    is_list = dataset.ndim == 4 or (dataset.ndim == 1 and dataset.dtype.kind == "O")
    return [f"{name}#{number}" for number in range(dataset.shape[0])] if is_list else [name]


def _numbers_last(key: str) -> tuple[str, int]:
    name, _, number = key.partition("#")
    return name, int(number or 0)


# The process is part of the key: a handle must not be used by a forked process.
@functools.lru_cache(maxsize=16)
def _zip(path: str, process: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


@functools.lru_cache(maxsize=16)
def _lmdb(path: str, process: int) -> Any:
    import lmdb

    return lmdb.open(path, readonly=True, lock=False, readahead=False, subdir=os.path.isdir(path))


@functools.lru_cache(maxsize=16)
def _hdf5(path: str, process: int) -> Any:
    import h5py

    return h5py.File(path, "r")
