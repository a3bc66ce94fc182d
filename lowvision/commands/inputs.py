"""Find the images that a command's arguments select, and the paths of their results."""

from __future__ import annotations

import glob
import mimetypes
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from lowvision.errors import UsageError
from lowvision.imaging.io import DEPTHS

ENDINGS = " ".join(DEPTHS)


@dataclass(frozen=True)
class Input:
    """An image and the path of its result."""

    path: Path
    result: Path

    @property
    def map(self) -> Path:
        """Path of the route map, next to the result."""
        return self.result.with_name(f"{self.result.stem}.map.png")


def plan(patterns: Sequence[str], output: Path, ending: str | None = None, maps: bool = False) -> tuple[Input, ...]:
    """Return every selected image once, in a stable order; no file is opened.

    patterns: files; folders, searched recursively; patterns (`*`, `?`, `[...]`, and `**` for any depth). The path of a
    result below `output` is the path of the image below the folder, or below the part of a pattern without wildcards.
    output: a folder; for a single file also the path of its result. ending: ending of the results, e.g. `.png`; None
    keeps that of each image if it can be written, otherwise `.png`. maps: whether route maps will be written too.
    Raises UsageError if a pattern selects no image, or if a result would replace an input or another result.
    """
    if _is_one_file(patterns, output):
        inputs = [Input(Path(patterns[0]).expanduser(), _with_ending(output, ending))]
    else:
        _check_folder(output)
        images = (image for pattern in patterns for image in _images(pattern, output))
        inputs = [Input(path, output / relative.with_suffix(ending or _ending_of(path))) for path, relative in images]
    unique = tuple(dict.fromkeys(inputs))
    _refuse_replacing(unique, maps)
    return unique


def _is_one_file(patterns: Sequence[str], output: Path) -> bool:
    """Return whether `output` is the path of a single result rather than a folder."""
    single = len(patterns) == 1 and os.path.isfile(Path(patterns[0]).expanduser())
    return single and output.suffix.lower() in DEPTHS and not output.is_dir()


def _with_ending(output: Path, ending: str | None) -> Path:
    if ending and output.suffix.lower() != ending:
        raise UsageError(f"{output}: does not end in {ending}, the ending of --format; leave --format out or change -o")
    return output


def _check_folder(output: Path) -> None:
    """Raise UsageError if `output` can only be a file."""
    if output.is_dir():
        return
    kind, _ = mimetypes.guess_type(output.name)
    if output.exists() or output.suffix.lower() in DEPTHS:
        raise UsageError(f"{output}: is a file, but there may be several results; give a folder")
    if kind and kind.startswith("image/"):
        raise UsageError(f"{output}: cannot write '{output.suffix}'; choose from {ENDINGS}")


def _ending_of(path: Path) -> str:
    return path.suffix if path.suffix.lower() in DEPTHS else ".png"


def _images(pattern: str, output: Path) -> Iterator[tuple[Path, Path]]:
    """Return each image that a pattern selects, with its path relative to the folder of the pattern."""
    path = Path(pattern).expanduser()
    if os.path.isdir(path):
        root, images = path, _below(path, output)
    elif os.path.exists(path):
        root, images = path.parent, iter([path])
    elif glob.has_magic(pattern):
        root = Path(*takewhile(lambda part: not glob.has_magic(part), path.parts))
        images = _matching(path, root, output)
    else:
        raise UsageError(f"{pattern}: no such file or folder")
    first = next(images, None)
    if first is None:
        raise UsageError(f"{pattern}: no images found; supported endings: {ENDINGS}")
    yield first, first.relative_to(root)
    yield from ((image, image.relative_to(root)) for image in images)


def _below(folder: Path, output: Path) -> Iterator[Path]:
    """Return the images of a folder, recursively, without hidden files and earlier results."""

    def unreadable(error: OSError) -> None:
        raise UsageError(f"{error.filename}: cannot read the folder: {error.strerror}") from error

    results = output.resolve()
    for place, folders, files in os.walk(folder, onerror=unreadable):
        # Changed in place: `walk` descends into the folders of this list.
        folders[:] = sorted(f for f in folders if not f.startswith(".") and Path(place, f).resolve() != results)
        yield from (Path(place, name) for name in sorted(files) if _is_image(name))


def _matching(pattern: Path, root: Path, output: Path) -> Iterator[Path]:
    """Return the images below the root that match a pattern, without hidden files and earlier results."""
    results = output.resolve()
    holds_results = root.resolve() in results.parents
    for name in sorted(glob.iglob(str(pattern), recursive=True)):
        path = Path(name)
        is_result = holds_results and results in path.resolve().parents
        if _is_image(path.name) and path.is_file() and not is_result:
            yield path


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in DEPTHS and not name.startswith(".")


def _refuse_replacing(inputs: Sequence[Input], maps: bool) -> None:
    """Raise UsageError if a result would replace an input or another result."""
    sources = {image.path.resolve() for image in inputs}
    results: dict[Path, Path] = {}
    for image in inputs:
        for target in (image.result, image.map) if maps else (image.result,):
            resolved = target.resolve()
            if resolved in sources:
                raise UsageError(f"{image.path}: its result {target} would replace an input; give another -o")
            if resolved in results:
                raise UsageError(
                    f"{image.path}: its result {target} would replace that of {results[resolved]}; "
                    "use two output folders, or leave --format out"
                )
            results[resolved] = image.path
