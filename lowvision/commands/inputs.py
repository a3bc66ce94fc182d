"""Find the images that a command's arguments select, and the paths of their results."""

from __future__ import annotations

import glob
import mimetypes
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory

from lowvision.errors import LowvisionError, UsageError
from lowvision.imaging.formats import BY_SUFFIX, SUFFIXES, WRITABLE
from lowvision.system import file_names, folders, locations
from lowvision.system.locations import Location

ENDINGS = " ".join(WRITABLE)
NOT_REGULAR = "pipes, devices and broken links"


@dataclass(frozen=True)
class Input:
    """An image and the path of its result; a remote one has its URL as path, and a location."""

    path: Path
    result: Path
    source: Location | None = None
    """Location of the image if it is not local."""
    target: Location | None = None
    """Location of the result if it is not local."""
    streams: frozenset[Path] = frozenset()
    """Files that stand for standard input and output; messages call them `-`."""

    @property
    def map(self) -> Path:
        """Path of the route map, next to the result."""
        return self.result.with_name(f"{self.result.stem}.map.png")

    @property
    def names(self) -> tuple[str, str, str]:
        """Names of the image, its result and the route map for messages."""
        path, result = (
            "-" if local in self.streams else str(remote or local)
            for local, remote in ((self.path, self.source), (self.result, self.target))
        )
        return path, result, f"{result.removesuffix(self.result.suffix)}.map.png"

    def targets(self, has_map: bool) -> tuple[Path | Location, ...]:
        """Return where the result and the route map are written."""
        if self.target is None:
            return (self.result, self.map) if has_map else (self.result,)
        return (self.target, self.target.sibling(self.map.name)) if has_map else (self.target,)

    @contextmanager
    def image(self) -> Iterator[Path]:
        """Yield a local path of the image; a remote image is copied, and errors name its URL."""
        if self.source is None:
            yield self.path
            return
        with TemporaryDirectory(prefix="lowvision-") as folder:
            local = Path(folder, self.path.name)
            self.source.fetch(local)
            try:
                yield local
            except LowvisionError as error:
                raise type(error)(str(error).replace(str(local), self.source.url)) from None

    @contextmanager
    def local_results(self, has_map: bool) -> Iterator[Input]:
        """Yield the input with local paths of its result and its map; remote ones are copied afterwards."""
        if self.target is None:
            yield self
            return
        with TemporaryDirectory(prefix="lowvision-") as folder:
            local = Input(self.path, Path(folder, self.result.name))
            yield local
            if has_map:  # before the result: if the result exists, its map does too
                self.target.sibling(self.map.name).store(local.map)
            self.target.store(local.result)


def plan(
    patterns: Sequence[str],
    output: Path | Location,
    ending: str | None = None,
    maps: bool = False,
    suffix: str = "",
    ignored: Counter[str] | None = None,
) -> tuple[Input, ...]:
    """Return every selected image once, in a stable order; no file is opened.

    patterns: files; folders, searched recursively; patterns (`*`, `?`, `[...]`, and `**` for any depth); URLs of these
    on other file systems (`lowvision/system/locations.py`). The path of a
    result below `output` is the path of the image below the folder, or below the part of a pattern without wildcards.
    Links to folders are followed, every folder once. output: a folder; for a single file also the path of its result.
    ending: ending of the results, e.g. `.png`; None keeps that of each image if it can be written, otherwise `.png`,
    or `.tif` for floats. maps: whether route maps will be written too. suffix: text before the ending of the results.
    ignored: receives the number of files in searched folders that are not selected, by their ending.
    Raises UsageError if a pattern selects no image, or if a result would replace an input or another result.
    """
    ignored = Counter() if ignored is None else ignored
    if isinstance(output, Path) and (issue := file_names.too_long(output)):
        raise UsageError(f"-o: {issue}; give a shorter one")
    if _is_one_file(patterns, output):
        if suffix:
            raise UsageError(
                f"--suffix {suffix}: -o {output} is the name of the result; omit --suffix, or give a folder"
            )
        path, source = _one_file(patterns[0])
        inputs = [_input(path, source, _with_ending(output, ending))]
    else:
        _check_folder(output)
        images = (image for pattern in patterns for image in _images(pattern, output, ignored))
        inputs = [
            _input(path, source, output / relative.with_name(f"{relative.stem}{suffix}{ending or _ending_of(path)}"))
            for path, relative, source in images
        ]
    unique = tuple(dict.fromkeys(inputs))
    _refuse_replacing(unique, maps)
    return unique


def _input(path: Path, source: Location | None, result: Path | Location) -> Input:
    if isinstance(result, Path):
        return Input(path, result, source)
    return Input(path, Path(result.url), source, result)


def _one_file(pattern: str) -> tuple[Path, Location | None]:
    """Return the path of an input, and its location if it is not local."""
    if not locations.is_remote(pattern):
        return _expanded(pattern), None
    ((location, _),) = locations.files_of(locations.find(pattern))
    return Path(location.url), location


def _expanded(pattern: str) -> Path:
    """Return a path with `~` replaced by the home folder, unless a file has that name or there is no such user."""
    path = Path(pattern)
    if pattern.startswith("~") and not os.path.lexists(path):
        try:
            return path.expanduser()
        except RuntimeError:
            pass
    return path


def _is_one_file(patterns: Sequence[str], output: Path | Location) -> bool:
    """Return whether `output` is the path of a single result rather than a folder."""
    if len(patterns) > 1 or output.suffix.lower() not in WRITABLE or (isinstance(output, Path) and output.is_dir()):
        return False
    if locations.is_remote(patterns[0]):
        return locations.find(patterns[0]).is_file()
    return os.path.isfile(_expanded(patterns[0]))


def _with_ending(output: Path | Location, ending: str | None) -> Path | Location:
    if ending and BY_SUFFIX.get(output.suffix.lower()) is not BY_SUFFIX[ending]:
        raise UsageError(f"{output}: does not end in {ending}, the ending of --format; leave --format out or change -o")
    return output


def _check_folder(output: Path | Location) -> None:
    """Raise UsageError if `output` can only be a file."""
    if isinstance(output, Path) and output.is_dir():
        return
    kind, _ = mimetypes.guess_type(str(output))
    if output.suffix.lower() in WRITABLE:
        raise UsageError(f"{output}: names a file, but there may be several results; give a folder")
    if output.exists() if isinstance(output, Path) else output.is_file():
        raise UsageError(f"{output}: is a file, but no image; give a folder, or a name that ends in one of {ENDINGS}")
    if kind and (kind.startswith("image/") or isinstance(output, Path)):
        raise UsageError(f"{output}: cannot write '{output.suffix}'; choose from {ENDINGS}")


def _ending_of(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in WRITABLE:
        return path.suffix
    return BY_SUFFIX[suffix].replacement if suffix in BY_SUFFIX else ".png"


def _images(
    pattern: str, output: Path | Location, ignored: Counter[str]
) -> Iterator[tuple[Path, Path, Location | None]]:
    """Yield each image that a pattern selects, its path relative to the folder of the pattern, and its location."""
    if locations.is_remote(pattern):
        yield from _remote_images(pattern, output, ignored)
        return
    path, output = _expanded(pattern), output if isinstance(output, Path) else Path(output.url)
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
    yield first, first.relative_to(root), None
    yield from ((image, image.relative_to(root), None) for image in images)


def _remote_images(
    pattern: str, output: Path | Location, ignored: Counter[str]
) -> Iterator[tuple[Path, Path, Location]]:
    """Yield the images of a URL, without hidden files and earlier results below it."""
    count, location = 0, locations.find(pattern)
    results = f"{output.path.rstrip('/')}/" if isinstance(output, Location) else None
    for each, relative in locations.files_of(location):
        is_result = results is not None and each.path.startswith(results) and results.startswith(location.path)
        if is_result or any(part.startswith(".") for part in relative.parts):
            continue
        if each.suffix not in SUFFIXES:
            ignored[each.suffix or "without ending"] += 1
            continue
        count += 1
        yield Path(each.url), Path(relative), each
    if not count:
        raise UsageError(f"{pattern}: no images found; supported endings: {' '.join(SUFFIXES)}")


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
                    f"{image.path}: its result {target} would replace that of {results[resolved]}; restore them in two "
                    "commands, with another -o, --suffix or --format"
                )
            results[resolved] = image.path
