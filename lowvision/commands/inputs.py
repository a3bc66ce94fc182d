"""Find the images that a command's arguments select, and the paths of their results."""

from __future__ import annotations

import glob
import mimetypes
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from lowvision.errors import UsageError
from lowvision.imaging.formats import BY_SUFFIX, SUFFIXES, WRITABLE
from lowvision.system import file_names, folders

ENDINGS = " ".join(WRITABLE)
NOT_REGULAR = "pipes, devices and broken links"


@dataclass(frozen=True)
class Input:
    """An image and the path of its result."""

    path: Path
    result: Path

    @property
    def map(self) -> Path:
        """Path of the route map, next to the result."""
        return self.result.with_name(f"{self.result.stem}.map.png")


def plan(
    patterns: Sequence[str],
    output: Path,
    ending: str | None = None,
    maps: bool = False,
    suffix: str = "",
    ignored: Counter[str] | None = None,
) -> tuple[Input, ...]:
    """Return every selected image once, in a stable order; no file is opened.

    patterns: files; folders, searched recursively; patterns (`*`, `?`, `[...]`, and `**` for any depth). The path of a
    result below `output` is the path of the image below the folder, or below the part of a pattern without wildcards.
    Links to folders are followed, every folder once. output: a folder; for a single file also the path of its result.
    ending: ending of the results, e.g. `.png`; None keeps that of each image if it can be written, otherwise `.png`,
    or `.tif` for floats. maps: whether route maps will be written too. suffix: text before the ending of the results.
    ignored: receives the number of files in searched folders that are not selected, by their ending.
    Raises UsageError if a pattern selects no image, or if a result would replace an input or another result.
    """
    ignored = Counter() if ignored is None else ignored
    if issue := file_names.too_long(output):
        raise UsageError(f"-o: {issue}; give a shorter one")
    if _is_one_file(patterns, output):
        inputs = [Input(_expanded(patterns[0]), _with_ending(output, ending))]
    else:
        _check_folder(output)
        images = (image for pattern in patterns for image in _images(pattern, output, ignored))
        inputs = [
            Input(path, output / relative.with_name(f"{relative.stem}{suffix}{ending or _ending_of(path)}"))
            for path, relative in images
        ]
    unique = tuple(dict.fromkeys(inputs))
    _refuse_replacing(unique, maps)
    return unique


def _expanded(pattern: str) -> Path:
    """Return a path with `~` replaced by the home folder, unless a file has that name or there is no such user."""
    path = Path(pattern)
    if pattern.startswith("~") and not os.path.lexists(path):
        try:
            return path.expanduser()
        except RuntimeError:
            pass
    return path


def _is_one_file(patterns: Sequence[str], output: Path) -> bool:
    """Return whether `output` is the path of a single result rather than a folder."""
    single = len(patterns) == 1 and os.path.isfile(_expanded(patterns[0]))
    return single and output.suffix.lower() in WRITABLE and not output.is_dir()


def _with_ending(output: Path, ending: str | None) -> Path:
    if ending and output.suffix.lower() != ending:
        raise UsageError(f"{output}: does not end in {ending}, the ending of --format; leave --format out or change -o")
    return output


def _check_folder(output: Path) -> None:
    """Raise UsageError if `output` can only be a file."""
    if output.is_dir():
        return
    kind, _ = mimetypes.guess_type(output.name)
    if output.exists() or output.suffix.lower() in WRITABLE:
        raise UsageError(f"{output}: is a file, but there may be several results; give a folder")
    if kind and kind.startswith("image/"):
        raise UsageError(f"{output}: cannot write '{output.suffix}'; choose from {ENDINGS}")


def _ending_of(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in WRITABLE:
        return path.suffix
    return BY_SUFFIX[suffix].replacement if suffix in BY_SUFFIX else ".png"


def _images(pattern: str, output: Path, ignored: Counter[str]) -> Iterator[tuple[Path, Path]]:
    """Yield each image that a pattern selects, with its path relative to the folder of the pattern."""
    path = _expanded(pattern)
    if os.path.isdir(path):
        root, images = path, _found(path, ("**", "*"), output, ignored)
    elif os.path.lexists(path):
        root, images = path.parent, iter([path])
    elif glob.has_magic(pattern):
        root, wildcards = _split(path)
        images = _found(root, wildcards, output, ignored)
    else:
        raise UsageError(f"{pattern}: no such file or folder")
    first = next(images, None)
    if first is None:
        raise UsageError(f"{pattern}: no images found; supported endings: {' '.join(SUFFIXES)}")
    yield first, first.relative_to(root)
    yield from ((image, image.relative_to(root)) for image in images)


def _split(path: Path) -> tuple[Path, tuple[str, ...]]:
    """Split a pattern into its folder and the rest; a folder whose name has brackets is a folder."""
    root = Path(path.anchor)
    parts = path.parts[1:] if path.anchor else path.parts
    for number, part in enumerate(parts):
        if glob.has_magic(part) and not (root / part).is_dir():
            return root, parts[number:]
        root /= part
    return root.parent, parts[-1:]


def _found(root: Path, wildcards: tuple[str, ...], output: Path, ignored: Counter[str]) -> Iterator[Path]:
    """Yield the images below the root that match wildcards, without hidden files and earlier results."""
    results = os.path.realpath(output)
    holds_results = results.startswith(os.path.join(os.path.realpath(root), ""))
    depth = None if "**" in wildcards else len(wildcards)
    for path in _walk(root, results if holds_results else None, depth):
        if path.name.startswith(".") or not _matches(path.relative_to(root).parts, wildcards):
            continue
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            ignored[suffix or "without ending"] += 1
        elif not path.is_file():  # a pipe would be read for ever, and a link to itself never
            ignored[NOT_REGULAR] += 1
        else:
            yield path


def _walk(folder: Path, results: str | None, depth: int | None) -> Iterator[Path]:
    """Yield all files below a folder as `folders.walk` does. Raises UsageError."""
    try:
        yield from folders.walk(folder, results, depth)
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot read the folder: {error.strerror}") from error


def _matches(parts: tuple[str, ...], wildcards: tuple[str, ...]) -> bool:
    """Return True if the parts of a path match wildcards; `**` matches any number of parts."""
    if not wildcards:
        return not parts
    if wildcards[0] == "**":
        rest = wildcards[1:] or ("*",)
        return any(_matches(parts[skipped:], rest) for skipped in range(len(parts)))
    return bool(parts) and fnmatchcase(parts[0], wildcards[0]) and _matches(parts[1:], wildcards[1:])


def _refuse_replacing(inputs: Sequence[Input], maps: bool) -> None:
    """Raise UsageError if a result would replace an input or another result."""
    sources = {os.path.realpath(image.path) for image in inputs}
    results: dict[str, Path] = {}
    for image in inputs:
        for target in (image.result, image.map) if maps else (image.result,):
            resolved = os.path.realpath(target)
            if resolved in sources:
                raise UsageError(f"{image.path}: its result {target} would replace an input; give another -o")
            if resolved in results:
                raise UsageError(
                    f"{image.path}: its result {target} would replace that of {results[resolved]}; "
                    "use two output folders, or leave --format out"
                )
            results[resolved] = image.path
