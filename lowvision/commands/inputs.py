"""Which images the words of a command mean, and where the result of each goes."""

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
    """One image, and where its result goes."""

    path: Path
    result: Path

    @property
    def map(self) -> Path:
        """Where its route map goes: beside the result."""
        return self.result.with_name(f"{self.result.stem}.map.png")


def plan(words: Sequence[str], output: Path, ending: str | None = None, maps: bool = False) -> tuple[Input, ...]:
    """Every image that the words mean, once, in a stable order; names alone, nothing is opened.

    words: files; folders, searched with all below them; patterns (`*`, `?`, `[...]`, and `**` for any depth). What
    lies below a folder, or below the part of a pattern without wildcards, lies in the same place below `output`.
    output: a folder; for one file also the result's own path. ending: of the results, such as `.png`; None keeps each
    file's own where it can be written, else `.png`. maps: whether route maps will be written too.
    Raises UsageError where a word means no image, and where a result would replace an input or another result.
    """
    if _is_one_file(words, output):
        found = [Input(Path(words[0]).expanduser(), _with_ending(output, ending))]
    else:
        _check_folder(output)
        images = (image for word in words for image in _images(word, output))
        found = [Input(path, output / inside.with_suffix(ending or _own_ending(path))) for path, inside in images]
    once = tuple(dict.fromkeys(found))
    _refuse_replacing(once, maps)
    return once


def _is_one_file(words: Sequence[str], output: Path) -> bool:
    """Whether `output` is the path of the one result, not a folder."""
    alone = len(words) == 1 and Path(words[0]).expanduser().is_file()
    return alone and output.suffix.lower() in DEPTHS and not output.is_dir()


def _with_ending(output: Path, ending: str | None) -> Path:
    if ending and output.suffix.lower() != ending:
        raise UsageError(f"{output} does not end in {ending}, as --format wants; leave one of them out")
    return output


def _check_folder(output: Path) -> None:
    """Raises UsageError where `output` can only be meant as a file."""
    if output.is_dir():
        return
    kind, _ = mimetypes.guess_type(output.name)
    if output.exists() or output.suffix.lower() in DEPTHS:
        raise UsageError(f"{output}: is a file's name; give a folder, as there may be several results")
    if kind and kind.startswith("image/"):
        raise UsageError(f"{output}: cannot write '{output.suffix}'; the endings are {ENDINGS}")


def _own_ending(path: Path) -> str:
    return path.suffix if path.suffix.lower() in DEPTHS else ".png"


def _images(word: str, output: Path) -> Iterator[tuple[Path, Path]]:
    """Each image that a word means, with its path inside of what the word names."""
    path = Path(word).expanduser()
    if path.is_dir():
        root, found = path, _below(path, output)
    elif path.exists():
        root, found = path.parent, iter([path])
    elif glob.has_magic(word):
        root = Path(*takewhile(lambda part: not glob.has_magic(part), path.parts))
        found = _matching(path, root, output)
    else:
        raise UsageError(f"{word}: no such file or folder")
    first = next(found, None)
    if first is None:
        raise UsageError(f"{word}: no images in it ({ENDINGS})")
    yield first, first.relative_to(root)
    yield from ((image, image.relative_to(root)) for image in found)


def _below(folder: Path, output: Path) -> Iterator[Path]:
    """The images of a folder and of all folders below it, but for hidden ones and earlier results."""

    def unreadable(error: OSError) -> None:
        raise UsageError(f"{error.filename}: cannot read the folder: {error.strerror}") from error

    results = output.resolve()
    for place, folders, files in os.walk(folder, onerror=unreadable):
        # In place: `walk` goes where the list says.
        folders[:] = sorted(f for f in folders if not f.startswith(".") and Path(place, f).resolve() != results)
        yield from (Path(place, name) for name in sorted(files) if _is_image(name))


def _matching(pattern: Path, root: Path, output: Path) -> Iterator[Path]:
    """The images below the root whose path matches a pattern, but for hidden ones and earlier results."""
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
    """Raises UsageError where a file to be written is an input, or is to be written twice."""
    read = {given.path.resolve() for given in inputs}
    written: dict[Path, Path] = {}
    for given in inputs:
        for target in (given.result, given.map) if maps else (given.result,):
            place = target.resolve()
            if place in read:
                raise UsageError(f"{given.path}: its result {target} would replace an input; give another -o")
            if place in written:
                raise UsageError(
                    f"{given.path} and {written[place]} would both become {target}; "
                    "restore them into two folders, or leave --format out"
                )
            written[place] = given.path
