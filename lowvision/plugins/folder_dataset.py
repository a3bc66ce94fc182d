"""A folder of photographs as a data set: ground truth only, degraded images only, or pairs of both."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

from pydantic import model_validator

from lowvision.errors import DataError
from lowvision.imaging.formats import SUFFIXES
from lowvision.plugins import image_pairs
from lowvision.plugins.contracts import Dataset, Photo
from lowvision.plugins.hookspecs import hookimpl
from lowvision.system import folders


class Folder(Dataset):
    """All images below a folder, or pairs, named as in published data sets: gt/ and lq/, HR/ and LR/, X4/, 0001x4."""

    path: str
    """Path of the folder; a relative path starts at the working directory of the command."""
    gt: str | None = None
    """Subfolder of the ground truth; null: recognised by its name, e.g. `gt`, `HR`. Without `lq`: no pairs."""
    lq: str | None = None
    """Subfolder of the degraded images; null: recognised by its name, e.g. `lq`, `LR/X4`."""
    has_gt: bool = True
    """False: all images are degraded ones, as a network gets them, and the recipe's `teacher` makes their targets."""
    only: tuple[str, ...] = ()
    """Names or patterns (`*`, `?`) of the photographs to use, without file suffix; empty: all."""
    exclude: tuple[str, ...] = ()
    """Names or patterns of the photographs to omit."""

    @model_validator(mode="after")
    def _names_no_folder_without_gt(self) -> Self:
        if not self.has_gt and (self.gt is not None or self.lq is not None):
            raise ValueError("has_gt: false takes all images as degraded ones; omit gt and lq")
        return self

    def photos(self) -> tuple[Photo, ...]:
        folder = Path(self.path).expanduser()
        if not os.path.isdir(folder):
            reason = "is a file" if os.path.exists(folder) else "no such folder"
            raise DataError(f"{folder}: {reason}; give the path of a folder of images")
        if folders.is_root(folder):
            raise DataError(f"{folder}: is the root of the file system; give the path of a folder of images")
        try:
            photos = self._photos(folder)
        except OSError as error:
            raise DataError(f"{error.filename or folder}: cannot be searched: {error.strerror}") from None
        selected = [photo for photo in photos if self._is_selected(photo.name)]
        if not selected:
            raise DataError(self._none_selected(folder, len(_images(folder))))
        return tuple(selected)

    def _photos(self, folder: Path) -> list[Photo]:
        if not self.has_gt:
            return [Photo(name, None, path) for name, path in _images(folder).items()]
        if self.gt is not None and self.lq is None:
            return [Photo(name, path) for name, path in _images(folder / self.gt).items()]
        sides = image_pairs.folders(folder, self.gt, self.lq)
        if sides is None:
            images = {name: path for name, path in _images(folder).items() if not _matches(name, self.exclude)}
            return image_pairs.within(folder, images)
        return image_pairs.match(folder, sides, *(_images(side) for side in sides))

    def _is_selected(self, name: str) -> bool:
        return (not self.only or _matches(name, self.only)) and not _matches(name, self.exclude)

    def _none_selected(self, folder: Path, count: int) -> str:
        if count:
            return f"{folder}: none of its {count} images passes `only` and `exclude`; change the patterns"
        return f"{folder}: contains no images; give a folder with {', '.join(SUFFIXES)} files"


def _images(folder: Path) -> dict[str, Path]:
    """Return all images below `folder`, sorted: relative name without suffix -> path.

    Hidden files are skipped, links to folders are followed, every folder once.
    """
    paths = sorted(p for p in folders.walk(folder) if p.suffix.lower() in SUFFIXES and p.is_file())
    by_name: dict[str, Path] = {}
    for path in paths:
        inside = path.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts):  # thumbnails, and macOS's metadata files
            continue
        name = inside.with_suffix("").as_posix()
        if name in by_name:
            raise DataError(f"{path}: has the same name as {by_name[name].name}; rename one of them")
        by_name[name] = path
    return by_name


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


@hookimpl
def lowvision_datasets() -> Mapping[str, type[Dataset]]:
    from lowvision.plugins.mixed_dataset import Mixed  # it needs the registry, which loads this module

    return {"folder": Folder, "mix": Mixed}
