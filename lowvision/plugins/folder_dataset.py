"""A folder of photographs as a data set: ground truth alone, or `lq/` beside `gt/`."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from lowvision.errors import DataError
from lowvision.plugins.contracts import Dataset, Photo
from lowvision.plugins.hookspecs import hookimpl

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"})


class Folder(Dataset):
    """All images below a folder; with both `lq/` and `gt/` in it, pairs of the same relative name."""

    path: str
    """The folder; a relative path starts where the command is run."""
    only: tuple[str, ...] = ()
    """Names or patterns (`*`, `?`) of the photographs to keep, without their ending; empty: all."""
    exclude: tuple[str, ...] = ()
    """Names or patterns of the photographs to leave out."""

    def photos(self) -> tuple[Photo, ...]:
        folder = Path(self.path).expanduser()
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; give the path of a folder of images")
        if (folder / "gt").is_dir() and (folder / "lq").is_dir():
            found = _pairs(folder)
        else:
            found = [Photo(name, path) for name, path in _images(folder).items()]
        kept = [photo for photo in found if self._keeps(photo.name)]
        if not kept:
            raise DataError(self._nothing_left(folder, len(found)))
        return tuple(kept)

    def _keeps(self, name: str) -> bool:
        def listed(patterns: tuple[str, ...]) -> bool:
            return any(fnmatchcase(name, pattern) for pattern in patterns)

        return (not self.only or listed(self.only)) and not listed(self.exclude)

    def _nothing_left(self, folder: Path, found: int) -> str:
        if found:
            return f"{folder}: none of its {found} images passes `only` and `exclude`"
        return f"{folder}: no images in it ({', '.join(sorted(SUFFIXES))})"


def _images(folder: Path) -> dict[str, Path]:
    """Relative name without ending -> path, sorted, for all images below `folder`; hidden ones do not count."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    named: dict[str, Path] = {}
    for path in paths:
        inside = path.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts):  # thumbnails, and what a Mac leaves on other disks
            continue
        name = inside.with_suffix("").as_posix()
        if name in named:
            raise DataError(f"{path}: shares its name with {named[name].name}; rename one of them")
        named[name] = path
    return named


def _pairs(folder: Path) -> list[Photo]:
    gt, lq = _images(folder / "gt"), _images(folder / "lq")
    lonely = [f"gt/{name}" for name in gt if name not in lq] + [f"lq/{name}" for name in lq if name not in gt]
    if lonely:
        more = f" and {len(lonely) - 3} more" if len(lonely) > 3 else ""
        raise DataError(
            f"{folder}: gt/ holds {len(gt)} images, lq/ {len(lq)}; without a partner of the same name: "
            f"{', '.join(lonely[:3])}{more}"
        )
    return [Photo(name, gt[name], lq[name]) for name in gt]


@hookimpl
def lowvision_datasets() -> Mapping[str, type[Dataset]]:
    return {"folder": Folder}
