"""The recipes that lowvision and its plugins ship: list them, find one by name, copy one to edit it.

A name is the path in the folder of recipes without suffix, e.g. `sr_carn`, `paper/sr_carn`. A plugin ships recipes in
the folder `recipes` of its package; their names start with that of the plugin, e.g. `lowvision-acme/example`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from lowvision.config.validation import did_you_mean
from lowvision.errors import RecipeError, UsageError
from lowvision.plugins.entry_points import Plugin
from lowvision.plugins.registry import Registry
from lowvision.system.atomic import whole

FOLDER = "recipes"
"""Folder of a package with its recipes."""

ENDING = ".yml"
ENDINGS = (ENDING, ".yaml")
"""Suffixes of recipe files."""
SCHEMA = re.compile(r"^# yaml-language-server: \$schema=\S+$", re.MULTILINE)
EXTENDS = re.compile(r"^extends: (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Copy:
    """A copy of a shipped recipe."""

    name: str
    """Name of the shipped recipe."""
    file: Path
    extends: str | None
    """Name of the shipped recipe that the copy extends; None: it extends none."""


def folder() -> Path:
    """Return the folder of lowvision's own recipes: in an installed package, or at the top of a checkout."""
    packaged = Path(__file__).parents[1] / FOLDER
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / FOLDER


def recipes(registry: Registry) -> Mapping[str, Path]:
    """Return all shipped recipes, name -> file: lowvision's, those in its subfolders, then those of plugins.

    Broken plugins have none.
    """
    core = sorted(_below(folder(), ""), key=lambda recipe: (recipe[0].count("/"), recipe[0]))
    from_plugins = (recipe for plugin in registry.plugins for recipe in sorted(_of(plugin)))
    return dict((*core, *from_plugins))


def _of(plugin: Plugin) -> Iterator[tuple[str, Path]]:
    """Yield the recipes in the package of a plugin; none if it is a single module or was not imported."""
    for package_path in getattr(sys.modules.get(plugin.module), "__path__", ()):
        yield from _below(Path(package_path) / FOLDER, f"{plugin.name}/")


def _below(root: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    for path in root.rglob(f"*{ENDING}"):
        yield f"{prefix}{path.relative_to(root).with_suffix('').as_posix()}", path


def about(path: Path) -> str:
    """Return the comment at the head of a recipe file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    text = lines[1:] if lines and SCHEMA.match(lines[0]) else lines
    head = list(takewhile(lambda line: line.startswith("#"), text))
    return "\n".join(line.removeprefix("#").strip() for line in head)


def find(argument: Path, registry: Registry) -> Path:
    """Return the recipe file for an argument of a command: a path, or the name of a shipped recipe.

    The path of a missing recipe file is returned unchanged; its reader raises the error. Raises RecipeError for the
    path of a shipped recipe that must be given by name, and for an argument that is neither a path nor a name.
    """
    name, by_name = argument.as_posix(), recipes(registry)
    if os.path.isfile(argument):  # unlike Path.is_file, False for a name that no file can have
        return argument
    if name in by_name:
        return by_name[name]
    if argument.suffix in ENDINGS:
        matches = [shipped for shipped in by_name if f"/{argument.with_suffix('').as_posix()}".endswith(f"/{shipped}")]
        if matches:
            raise RecipeError(f"{argument}: no such file; give the name of the shipped recipe, {max(matches, key=len)}")
        return argument
    if os.path.exists(argument):
        return argument
    hint = did_you_mean(name, by_name) or f"there are {', '.join(by_name)}"
    raise RecipeError(f"{name}: no such file, and no shipped recipe of that name; {hint}{registry.absent()}")


def copy(argument: str, destination: str, registry: Registry, force: bool = False) -> Copy:
    """Copy a shipped recipe for editing to a file (suffix .yml or .yaml) or into a folder, which is created if missing.

    The copy is equivalent: it extends by name the shipped recipe that the original extends.
    Raises RecipeError if there is no such recipe, UsageError if the copy would replace a file without `force`, would
    replace the shipped recipe itself, or cannot be written.
    """
    source = find(Path(argument), registry)
    names = {path.resolve(): name for name, path in recipes(registry).items()}
    if source.resolve() not in names:
        raise RecipeError(f"{argument}: is not a shipped recipe; `lowvision ls recipes` lists them")
    target = Path(destination)
    if target.suffix not in ENDINGS or target.is_dir():
        target = target / source.name
    if target.resolve() == source.resolve():
        raise UsageError(f"{target}: is the shipped recipe itself; give another file or folder")
    if target.exists() and not force:
        raise UsageError(f"{target}: exists already; give another file or folder, or --force to replace it")
    parent = _parent(source, names)
    text = source.read_text(encoding="utf-8")
    text = SCHEMA.sub("# yaml-language-server: $schema=schema.json", text)
    text = EXTENDS.sub(f"extends: {parent}", text) if parent else text
    _write(target, text)
    return Copy(names[source.resolve()], target, parent)


def _parent(source: Path, names: Mapping[Path, str]) -> str | None:
    """Return the name of the shipped recipe that a shipped one extends, by file or by name; None if it extends none."""
    match = EXTENDS.search(source.read_text(encoding="utf-8"))
    return names.get((source.parent / match[1]).resolve(), match[1]) if match else None


def _write(path: Path, text: str) -> None:
    try:
        with whole(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
