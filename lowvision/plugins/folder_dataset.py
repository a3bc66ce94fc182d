"""A folder of photographs as a data set: ground truth only, or pairs in `lq/` and `gt/`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from lowvision.errors import DataError
from lowvision.imaging.formats import SUFFIXES
from lowvision.plugins.contracts import Dataset, Photo
from lowvision.plugins.hookspecs import hookimpl


class Folder(Dataset):
    """All images below a folder; if it holds `lq/` and `gt/`, pairs of images of the same relative name."""

    path: str
    """Path of the folder; a relative path starts at the working directory of the command."""
    only: tuple[str, ...] = ()
    """Names or patterns (`*`, `?`) of the photographs to use, without file suffix; empty: all."""
    exclude: tuple[str, ...] = ()
    """Names or patterns of the photographs to omit."""

    def photos(self) -> tuple[Photo, ...]:
        folder = Path(self.path).expanduser()
        if not os.path.isdir(folder):
            raise DataError(f"{folder}: no such folder; give the path of a folder of images")
        try:
            if (folder / "gt").is_dir() and (folder / "lq").is_dir():
                photos = _pairs(folder)
            else:
                photos = [Photo(name, path) for name, path in _images(folder).items()]
        except OSError as error:
            raise DataError(f"{error.filename or folder}: cannot be searched: {error.strerror}") from None
        selected = [photo for photo in photos if self._is_selected(photo.name)]
        if not selected:
            raise DataError(self._none_selected(folder, len(photos)))
        return tuple(selected)

    def _is_selected(self, name: str) -> bool:
        def matches(patterns: tuple[str, ...]) -> bool:
            return any(fnmatchcase(name, pattern) for pattern in patterns)

        return (not self.only or matches(self.only)) and not matches(self.exclude)

    def _none_selected(self, folder: Path, count: int) -> str:
        if count:
            return f"{folder}: none of its {count} images passes `only` and `exclude`; change the patterns"
        return f"{folder}: contains no images; give a folder with {', '.join(SUFFIXES)} files"


def _images(folder: Path) -> dict[str, Path]:
    """Return all images below `folder`, sorted: relative name without suffix -> path; hidden files are skipped."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
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


def _pairs(folder: Path) -> list[Photo]:
    gt, lq = _images(folder / "gt"), _images(folder / "lq")
    unpaired = [f"gt/{name}" for name in gt if name not in lq] + [f"lq/{name}" for name in lq if name not in gt]
    if unpaired:
        more = f" and {len(unpaired) - 3} more" if len(unpaired) > 3 else ""
        raise DataError(
            f"{folder}: gt/ holds {len(gt)} images, lq/ {len(lq)}; rename or remove the images without a counterpart: "
            f"{', '.join(unpaired[:3])}{more}"
        )
    return [Photo(name, gt[name], lq[name]) for name in gt]


@hookimpl
def lowvision_datasets() -> Mapping[str, type[Dataset]]:
    return {"folder": Folder}
