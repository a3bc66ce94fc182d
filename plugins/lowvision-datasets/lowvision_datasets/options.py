"""The data sets: paths, and the names of the images inside."""

from __future__ import annotations

from abc import abstractmethod
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import model_validator

from lowvision import DataError, Dataset, Photo, Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lowvision import Reader

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".jp2", ".avif", ".gif", ".pfm", ".hdr")
"""Suffixes of images in archives, which also hold other files."""


class _InOneFile(Dataset):
    """Options and members that all data sets of this plugin share."""

    library: ClassVar[tuple[str, str] | None] = None
    """Module and extra that the reader needs; None: none."""

    path: str
    """Path of the file or folder."""
    only: tuple[str, ...] = ()
    """Names or patterns (`*`, `?`) of the photographs to use; empty: all."""
    has_gt: bool = True
    """False: the images are degraded inputs of a network; a teacher computes their targets. Omit lq."""
    lq: str | None = None
    """Degraded images; null: no pairs."""

    @model_validator(mode="after")
    def _has_its_library(self) -> Self:
        if self.library and find_spec(self.library[0]) is None:
            module, extra = self.library
            raise ValueError(f"needs {module}, which is not installed; pip install 'lowvision-framework[{extra}]'")
        return self

    @model_validator(mode="after")
    def _has_no_pairs_without_gt(self) -> Self:
        if not self.has_gt and self.lq is not None:
            raise ValueError("has_gt: false takes all images as degraded ones; omit lq")
        return self

    def photos(self) -> tuple[Photo, ...]:
        path = Path(self.path).expanduser()
        if not path.exists():
            raise DataError(f"{path}: no such file or folder; give the path of the data set")
        try:
            photos = self._photos(path)
        except DataError:
            raise
        except Exception as error:  # libraries raise many types for a damaged file
            raise DataError(f"{path}: cannot be read as {type(self).__name__}: {error}") from error
        selected = [photo for photo in photos if self._is_selected(photo.name)]
        if not selected:
            raise DataError(f"{path}: {len(photos)} images, none of which is selected; change `only`")
        return tuple(selected) if self.has_gt else tuple(Photo(photo.name, None, photo.gt) for photo in selected)

    @abstractmethod
    def _photos(self, path: Path) -> Sequence[Photo]: ...

    def _is_selected(self, name: str) -> bool:
        return not self.only or any(fnmatchcase(name, pattern) for pattern in self.only)


def _paired(reader: Reader, gt: Sequence[str], lq: Sequence[str] | None, name: Callable[[str], str]) -> list[Photo]:
    """Return the photographs of keys; pairs if there are keys of degraded images with the same names."""
    if lq is None:
        return [Photo(name(key), Stored(reader, key)) for key in gt]
    degraded = {name(key): key for key in lq}
    missing = sorted({name(key) for key in gt} ^ degraded.keys())
    if missing:
        raise DataError(f"{reader}: '{missing[0]}' and {len(missing) - 1} more are not in both gt and lq; remove them")
    return [Photo(name(key), Stored(reader, key), Stored(reader, degraded[name(key)])) for key in gt]


class Zip(_InOneFile):
    """The images of a zip archive, without unpacking it; pairs with `gt` and `lq`."""

    gt: str | None = None
    """Folder inside the archive with the ground truth; null: all images."""
    lq: str | None = None
    """Folder inside the archive with the degraded images, of equal names; null: no pairs."""

    @model_validator(mode="after")
    def _names_both_folders(self) -> Self:
        if self.lq is not None and self.gt is None:
            raise ValueError("lq needs gt, the folder of the ground truth inside the archive")
        return self

    def _photos(self, path: Path) -> Sequence[Photo]:
        from lowvision_datasets.readers import ZipReader

        reader = ZipReader(str(path))
        names = [name for name in reader.names() if _is_image(name)]
        if self.gt is None:
            return _paired(reader, names, None, lambda key: str(PurePosixPath(key).with_suffix("")))
        lq = None if self.lq is None else _below(names, self.lq)
        return _paired(reader, _below(names, self.gt), lq, lambda key: PurePosixPath(key).stem)


class LMDB(_InOneFile):
    """The images of an LMDB folder, as BasicSR makes them: keys are names, values are image files."""

    library: ClassVar[tuple[str, str] | None] = ("lmdb", "lmdb")

    lq: str | None = None
    """Path of the LMDB folder with the degraded images, of equal keys; null: no pairs."""

    def _photos(self, path: Path) -> Sequence[Photo]:
        from lowvision_datasets.readers import LMDBReader

        reader = LMDBReader(str(path))
        if self.lq is None:
            return [Photo(key, Stored(reader, key)) for key in reader.names()]
        degraded = LMDBReader(str(Path(self.lq).expanduser()))
        missing = sorted({*reader.names()} ^ {*degraded.names()})
        if missing:
            raise DataError(f"{path}: '{missing[0]}' is not in both folders; {len(missing)} such keys, remove them")
        return [Photo(key, Stored(reader, key), Stored(degraded, key)) for key in reader.names()]


class HDF5(_InOneFile):
    """The images of an HDF5 file: datasets of pixels (H,W), (H,W,C), or (N,H,W,C), or of the bytes of image files."""

    library: ClassVar[tuple[str, str] | None] = ("h5py", "hdf5")

    gt: str = "/"
    """Group or dataset of the ground truth."""
    lq: str | None = None
    """Group or dataset of the degraded images, of equal names; null: no pairs."""

    def _photos(self, path: Path) -> Sequence[Photo]:
        from lowvision_datasets.readers import HDF5Reader

        reader = HDF5Reader(str(path))
        lq = None if self.lq is None else reader.keys(self.lq)
        return _paired(reader, reader.keys(self.gt), lq, self._name)

    def _name(self, key: str) -> str:
        """Return the part of a key below the group or dataset that an option names."""
        for root in (self.lq, self.gt):
            if root is not None and key.strip("/").startswith(root.strip("/")):
                return key.strip("/").removeprefix(root.strip("/")).strip("/#") or "0"
        return key.strip("/")


class Arrow(_InOneFile):
    """The images of a `datasets` folder (Arrow), or of Parquet files, as the Hugging Face hub stores them."""

    library: ClassVar[tuple[str, str] | None] = ("pyarrow", "arrow")

    gt: str = "image"
    """Column of the ground truth: image files as bytes, or structures with `bytes` and `path`."""
    lq: str | None = None
    """Column of the degraded images; null: no pairs."""

    def _photos(self, path: Path) -> Sequence[Photo]:
        from lowvision_datasets.tables import TableReader

        reader = TableReader(str(path))
        for column in (self.gt, self.lq):
            if column is not None and column not in reader.columns():
                raise DataError(f"{path}: has no column '{column}'; there are {', '.join(reader.columns())}")
        return [
            Photo(str(row), Stored(reader, f"{self.gt}#{row}"), Stored(reader, f"{self.lq}#{row}") if self.lq else None)
            for row in range(reader.rows())
        ]


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in IMAGES and not any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _below(names: Sequence[str], folder: str) -> list[str]:
    inside = [name for name in names if name.startswith(f"{folder.strip('/')}/")]
    if not inside:
        raise DataError(f"no image lies in the folder '{folder}' of the archive; correct gt or lq")
    return inside
