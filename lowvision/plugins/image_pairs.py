"""Pairs of degraded and clean images in folders as data sets are published: gt/ lq/, HR/ LR/, X4/, 0001x4.png."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from lowvision.errors import DataError
from lowvision.plugins.contracts import Photo

GT_FOLDER = re.compile(r"(?:.*[^a-z])?(?:gt|hr)(?:mod\d+)?(?:[^a-z].*)?", re.IGNORECASE)
"""Folders of ground truth, e.g. `gt`, `HR`, `DIV2K_train_HR`, `GTmod12`."""
LQ_FOLDER = re.compile(r"(?:.*[^a-z])?(?:lq|lr)(?:bic|bicubic)?(?:x\d)?(?:[^a-z].*)?|x\d(?:\.\d+)?", re.IGNORECASE)
"""Folders of degraded images, e.g. `lq`, `LR`, `DIV2K_train_LR_bicubic`, `LRbicx4`, `X4`."""
SCALE_FOLDER = re.compile(r"x\d(?:\.\d+)?", re.IGNORECASE)
SCALE_SUFFIX = re.compile(r"x\d(?:\.\d+)?$", re.IGNORECASE)
"""End of the names of degraded images in DIV2K and its successors."""
ROLE = re.compile(r"(?<![a-z])(lr|lq)(?![a-z])", re.IGNORECASE)
"""Role in the names of degraded images, e.g. `img_001_SRF_4_LR`."""
CLEAN = {"lr": "hr", "lq": "gt", "LR": "HR", "LQ": "GT"}


def folders(folder: Path, gt: str | None = None, lq: str | None = None) -> tuple[Path, Path] | None:
    """Return the subfolders of ground truth and of degraded images, named or recognised; None if one is missing.

    Raises DataError if there are several of a kind, or if a named one does not exist.
    """
    names = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    clean = [path for path in names if GT_FOLDER.fullmatch(path.name)] if gt is None else [folder / gt]
    degraded = [inner for path in names if LQ_FOLDER.fullmatch(path.name) for inner in _scales(path)]
    degraded = degraded if lq is None else [folder / lq]
    if lq is not None and not clean:
        raise DataError(f"{folder}: lq is given, but no subfolder of ground truth is recognised; write gt: NAME")
    if not clean or not degraded:
        return None
    return _only(folder, "gt", clean), _only(folder, "lq", degraded)


def _scales(folder: Path) -> list[Path]:
    """Return the subfolders X2, X3, ... of a folder of degraded images if it holds nothing else, or the folder."""
    inner = sorted(folder.iterdir())
    scales = [path for path in inner if path.is_dir() and SCALE_FOLDER.fullmatch(path.name)]
    return scales if scales and len(scales) == len(inner) else [folder]


def _only(folder: Path, option: str, candidates: list[Path]) -> Path:
    if len(candidates) > 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in candidates)
        raise DataError(f"{folder}: holds {names}; write {option}: NAME to choose one of them")
    if not candidates[0].is_dir():
        raise DataError(f"{candidates[0]}: no such folder; `{option}` names a folder below `path`")
    return candidates[0]


def match(folder: Path, sides: tuple[Path, Path], gt: Mapping[str, Path], lq: Mapping[str, Path]) -> list[Photo]:
    """Return the pairs of the images of two folders, by name. Raises DataError if an image has no counterpart."""
    counterparts = max(_counterparts(gt, lq), _suffixed(gt, lq), key=len)
    used = set(counterparts.values())
    gt_name, lq_name = (side.relative_to(folder).as_posix() for side in sides)
    unpaired = [f"{gt_name}/{name}" for name in gt if name not in counterparts]
    unpaired += [f"{lq_name}/{name}" for name in lq if name not in used]
    if unpaired:
        raise DataError(
            f"{folder}: {gt_name}/ holds {len(gt)} images, {lq_name}/ {len(lq)}; rename or remove the images without a "
            f"counterpart: {_listed(unpaired)}"
        )
    return [Photo(name, path, lq[counterparts[name]]) for name, path in gt.items()]


def within(folder: Path, images: Mapping[str, Path]) -> list[Photo]:
    """Return the photographs of one folder: pairs if every image has a counterpart, otherwise ground truth.

    Raises DataError if only some of the images have one, or if degraded images lie in a subfolder that `folders` does
    not recognise: they must not become ground truth.
    """
    degraded = {name: path for name, path in images.items() if any(clean in images for clean in _clean_names(name))}
    if not degraded:
        _refuse_both(folder, images)
        return [Photo(name, path) for name, path in images.items()]
    gt = {name: path for name, path in images.items() if name not in degraded}
    counterparts = _counterparts(gt, degraded)
    single = sorted(images.keys() - counterparts.keys() - set(counterparts.values()))
    if single:
        example = next(iter(degraded))
        raise DataError(
            f"{folder}: '{example}' looks like the degraded image of '{_first(_clean_names(example), images)}', but "
            f"{len(single)} of {len(images)} images are in no pair: {_listed(single)}; exclude them, write "
            "gt: NAME and lq: NAME for two folders, or gt: . to take all images as ground truth"
        )
    return [Photo(name, path, images[counterparts[name]]) for name, path in gt.items()]


def _counterparts(gt: Iterable[str], lq: Iterable[str]) -> dict[str, str]:
    """Return the name of the degraded image of every clean one that has one; an equal name comes first."""
    clean, left = set(gt), list(lq)
    equal = {name: name for name in left if name in clean}
    return _suffixed(clean, (name for name in left if name not in clean)) | equal


def _suffixed(gt: Iterable[str], lq: Iterable[str]) -> dict[str, str]:
    """Return the name of the degraded image of every clean one that has one of a different name, e.g. x and xx4."""
    clean = set(gt)
    counterparts: dict[str, str] = {}
    for name in lq:
        target = _first(_clean_names(name), clean)
        if target is not None:
            counterparts.setdefault(target, name)
    return counterparts


def _clean_names(name: str) -> list[str]:
    """Return the possible names of a degraded image's ground truth, if the two names differ."""
    parent, last = PurePosixPath(name).parent, PurePosixPath(name).name
    stem = SCALE_SUFFIX.sub("", last).rstrip("_-") or last
    candidates = {
        SCALE_SUFFIX.sub("", last),
        stem,
        *(ROLE.sub(lambda found: CLEAN.get(found[0], "hr"), word) for word in (last, stem)),
        *(ROLE.sub("", word).rstrip("_-") for word in (last, stem)),
    }
    return [(parent / word).as_posix() for word in sorted(candidates - {last, ""})]


def _first(names: Iterable[str], among: Iterable[str]) -> str | None:
    return next((name for name in names if name in among), None)


def _refuse_both(folder: Path, images: Mapping[str, Path]) -> None:
    degraded = [name for name in images if any(LQ_FOLDER.fullmatch(part) for part in PurePosixPath(name).parts[:-1])]
    reason = "lies in a folder of degraded images, others of {} images do not"
    if not degraded:
        names = {PurePosixPath(name).name for name in images}
        scaled = [name for name in images if SCALE_SUFFIX.search(PurePosixPath(name).name)]
        degraded = [name for name in scaled if SCALE_SUFFIX.sub("", PurePosixPath(name).name) in names]
        reason = "is named like a degraded image of one in another folder, others of {} images are not"
    if degraded and len(degraded) < len(images):
        raise DataError(
            f"{folder}: '{degraded[0]}' {reason.format(len(images))}; write gt: NAME and lq: NAME for the two folders, "
            "or gt: . to take all images as ground truth"
        )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
