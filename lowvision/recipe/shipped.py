"""The recipes that come with lowvision and with its plugins: which there are, by name, and copies of them to edit.

A name is the file's, without the ending and from the folder of recipes: `sr_carn`, `paper/sr_carn`. That of a plugin is
the folder `recipes` of its package, and the plugin's name stands before: `lowvision-acme/example`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lowvision.config.validation import did_you_mean
from lowvision.errors import RecipeError, UsageError
from lowvision.plugins.registry import Plugin, Registry
from lowvision.system.atomic import whole

FOLDER = "recipes"
"""Of a package, where its recipes lie."""

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
    """Where lowvision's own lie: beside this file in an installed package, at the top of a checkout."""
    carried = Path(__file__).parents[1] / FOLDER
    return carried if carried.is_dir() else Path(__file__).parents[2] / FOLDER


def recipes(registry: Registry) -> Mapping[str, Path]:
    """Every shipped recipe and its file: those that run anywhere, those in folders, then those of plugins.

    A plugin that is broken has none.
    """
    own = sorted(_below(folder(), ""), key=lambda recipe: (recipe[0].count("/"), recipe[0]))
    theirs = (recipe for plugin in registry.plugins for recipe in sorted(_of(plugin)))
    return dict((*own, *theirs))


def _of(plugin: Plugin) -> Iterator[tuple[str, Path]]:
    """The recipes in the package of a plugin; none where it is a lone module, or could not be imported."""
    for place in getattr(sys.modules.get(plugin.module), "__path__", ()):
        yield from _below(Path(place) / FOLDER, f"{plugin.name}/")


def _below(home: Path, before: str) -> Iterator[tuple[str, Path]]:
    for path in home.rglob(f"*{ENDING}"):
        yield f"{before}{path.relative_to(home).with_suffix('').as_posix()}", path


def about(path: Path) -> str:
    """What a recipe's file says of itself: the comment at its head, line by line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    own = lines[1:] if lines and SCHEMA.match(lines[0]) else lines
    head = [line for k, line in enumerate(own) if all(before.startswith("#") for before in own[: k + 1])]
    return "\n".join(line.removeprefix("#").strip() for line in head)


def find(word: Path, registry: Registry) -> Path:
    """The recipe that a word of a command means: a file, or a shipped recipe by its name.

    A file that is not there is given back as it is, for its reader to tell, but for one that is shipped by another
    name. Raises RecipeError for that, and for a word that is neither a file nor a name.
    """
    name, there = word.as_posix(), recipes(registry)
    if word.is_file():
        return word
    if name in there:
        return there[name]
    if word.suffix in ENDINGS:
        likely = [shipped for shipped in there if f"/{word.with_suffix('').as_posix()}".endswith(f"/{shipped}")]
        if likely:
            meant = max(likely, key=len)
            raise RecipeError(f"{word}: no such file; the shipped recipe is called {meant} alone")
        return word
    if word.exists():
        return word
    hint = did_you_mean(name, there) or f"there are {', '.join(there)}"
    raise RecipeError(f"{name}: no such file, and no shipped recipe of that name; {hint}{registry.absent()}")


def copy(word: str, destination: str, registry: Registry, force: bool = False) -> Copy:
    """Copy a shipped recipe, to be edited, to a file (which ends in .yml) or into a folder, which is made.

    The copy says the same: where the recipe extends another shipped one, the copy extends it by its name.
    Raises RecipeError where no such recipe is shipped, UsageError where the copy would replace a file and `force` is
    not given, would replace the shipped recipe itself, or cannot be written.
    """
    source = find(Path(word), registry)
    names = {path.resolve(): name for name, path in recipes(registry).items()}
    if source.resolve() not in names:
        raise RecipeError(f"{word}: is not shipped; `lowvision ls recipes` lists what is")
    target = Path(destination)
    if target.suffix not in ENDINGS or target.is_dir():
        target = target / source.name
    if target.resolve() == source.resolve():
        raise UsageError(f"{target}: is the shipped recipe itself; give another file or folder")
    if target.exists() and not force:
        raise UsageError(f"{target}: is there already; give another file or folder, or --force to replace it")
    parent = _parent(source, names)
    text = source.read_text(encoding="utf-8")
    text = SCHEMA.sub("# yaml-language-server: $schema=schema.json", text)
    text = EXTENDS.sub(f"extends: {parent}", text) if parent else text
    _write(target, text)
    return Copy(names[source.resolve()], target, parent)


def _parent(source: Path, names: Mapping[Path, str]) -> str | None:
    """The name of the shipped recipe that a shipped one extends, be it by its file or by its name."""
    found = EXTENDS.search(source.read_text(encoding="utf-8"))
    return names.get((source.parent / found[1]).resolve(), found[1]) if found else None


def _write(path: Path, text: str) -> None:
    try:
        with whole(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
