"""The recipes that come with lowvision: which there are, by name, and copies of them to edit.

A name is the file's, without the ending and from the folder of recipes: `sr_carn`, `paper/sr_carn`.
"""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from lowvision.errors import RecipeError, UsageError
from lowvision.writing import whole

ENDING = ".yml"
ENDINGS = (ENDING, ".yaml")
"""Of a recipe's file."""
SCHEMA = re.compile(r"^# yaml-language-server: \$schema=\S+$", re.MULTILINE)
EXTENDS = re.compile(r"^extends: (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Copy:
    """What `copy` made of a shipped recipe."""

    name: str
    """Of the shipped recipe."""
    file: Path
    extends: str | None
    """The shipped recipe that the copy extends, by its name."""


def folder() -> Path:
    """Where they lie: beside this file in an installed package, at the top of a checkout."""
    carried = Path(__file__).parent / "recipes"
    return carried if carried.is_dir() else Path(__file__).parents[1] / "recipes"


def names() -> tuple[str, ...]:
    """Every shipped recipe; those that run anywhere come before those in folders."""
    found = [path.relative_to(folder()).with_suffix("").as_posix() for path in folder().rglob(f"*{ENDING}")]
    return tuple(sorted(found, key=lambda name: (name.count("/"), name)))


def path_of(name: str) -> Path | None:
    """The file of the shipped recipe of that name; None where there is none."""
    return folder() / f"{name}{ENDING}" if name in names() else None


def about(path: Path) -> str:
    """What a recipe's file says of itself: the comment at its head, line by line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    own = lines[1:] if lines and SCHEMA.match(lines[0]) else lines
    head = [line for k, line in enumerate(own) if all(before.startswith("#") for before in own[: k + 1])]
    return "\n".join(line.removeprefix("#").strip() for line in head)


def find(word: Path) -> Path:
    """The recipe that a word of a command means: a file, or a shipped recipe by its name.

    A file that is not there is given back as it is, for its reader to tell, but for one that is shipped by another
    name. Raises RecipeError for that, and for a word that is neither a file nor a name.
    """
    name = word.as_posix()
    if word.is_file():
        return word
    if there := path_of(name):
        return there
    if word.suffix in ENDINGS:
        likely = [shipped for shipped in names() if f"/{word.with_suffix('').as_posix()}".endswith(f"/{shipped}")]
        if likely:
            meant = max(likely, key=len)
            raise RecipeError(f"{word}: no such file; the recipe that comes with lowvision is called {meant} alone")
        return word
    return word if word.exists() else _unknown(name)


def _unknown(name: str) -> Path:
    near = difflib.get_close_matches(name, names(), n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(names())}"
    raise RecipeError(f"{name}: no such file, and no recipe of that name comes with lowvision; {hint}")


def copy(word: str, destination: str, force: bool = False) -> Copy:
    """Copy a shipped recipe, to be edited, to a file (which ends in .yml) or into a folder, which is made.

    The copy says the same: where the recipe extends another shipped one, the copy extends it by its name.
    Raises RecipeError where no such recipe is shipped, UsageError where the copy would replace a file and `force` is
    not given, would replace the shipped recipe itself, or cannot be written.
    """
    source = find(Path(word))
    if not source.resolve().is_relative_to(folder().resolve()):
        raise RecipeError(f"{word}: does not come with lowvision; `lowvision ls recipes` lists what does")
    target = Path(destination)
    if target.suffix not in ENDINGS or target.is_dir():
        target = target / source.name
    if target.resolve() == source.resolve():
        raise UsageError(f"{target}: is the recipe that comes with lowvision itself; give another file or folder")
    if target.exists() and not force:
        raise UsageError(f"{target}: is there already; give another file or folder, or --force to replace it")
    parent = _parent(source)
    text = source.read_text(encoding="utf-8")
    text = SCHEMA.sub("# yaml-language-server: $schema=schema.json", text)
    text = EXTENDS.sub(f"extends: {parent}", text) if parent else text
    _write(target, text)
    return Copy(source.relative_to(folder()).with_suffix("").as_posix(), target, parent)


def _parent(source: Path) -> str | None:
    """The name of the shipped recipe that a shipped one extends."""
    found = EXTENDS.search(source.read_text(encoding="utf-8"))
    if not found:
        return None
    return Path(os.path.relpath(source.parent / found[1], folder())).with_suffix("").as_posix()


def _write(path: Path, text: str) -> None:
    try:
        with whole(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
