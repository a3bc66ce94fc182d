"""Lays a recipe file over its parents, and the command line over both."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lowvision.config import yaml_reader
from lowvision.config.validation import shown
from lowvision.config.yaml_reader import KeyPath, Mark, Source
from lowvision.errors import RecipeError
from lowvision.plugins.choice import choices_of
from lowvision.plugins.registry import Registry
from lowvision.recipe import shipped

COMMAND_LINE = Mark("command line", 0)

CHOICES: Mapping[KeyPath, str] = {
    ("task",): "tasks",
    ("backbone",): "backbones",
    ("classifier",): "classifiers",
    ("data", "train"): "datasets",
    ("data", "valid"): "datasets",
    ("data", "test"): "datasets",
}
"""Where a recipe names one thing, and of which menu; another name there brings nothing over from what it replaces."""

SECTIONS: frozenset[KeyPath] = frozenset({("tile",), ("data",), ("stages",)})
"""Keys that may stand with nothing after them and then mean their defaults; so may every stage."""

RIVALS: Mapping[str, tuple[str, ...]] = {
    "branches": ("backbone", "reduce"),
    "backbone": ("branches",),
    "reduce": ("branches",),
}
"""Two ways to say what the branches are: the later one replaces the earlier."""


def gather(path: Path, registry: Registry, overrides: Sequence[str] = ()) -> Source:
    """Everything that the file, its parents and `key.path=value` overrides say, as one mapping.

    Mappings merge key by key; lists, plain values, `reduce` and a choice of another name are replaced whole.
    Raises RecipeError where a file cannot be read, extends itself, or an override cannot be placed.
    """
    source = _with_parents(path, (), registry)
    complaints = []
    for override in overrides:
        try:
            source = _overridden(source, override, registry)
        except RecipeError as error:
            complaints.append(str(error))
    if complaints:
        raise RecipeError("\n".join(complaints))
    return source


def _with_parents(path: Path, children: tuple[Path, ...], registry: Registry) -> Source:
    source = _with_sections(yaml_reader.read(path), registry)
    if not isinstance(source.value, dict):
        found = "is empty" if source.value is None else f"holds {shown(source.value)}"
        raise RecipeError(f"{path}: {found}; a recipe is a mapping with keys such as task, backbone and stages")
    if "extends" not in source.value:
        return source
    own = {key: value for key, value in source.value.items() if key != "extends"}
    parent = _parent(path, source.value["extends"], source.marks[("extends",)], registry)
    children = (*children, path)
    if parent.resolve() in [child.resolve() for child in children]:
        circle = " -> ".join(map(str, (*children, parent)))
        raise RecipeError(f"{source.marks[('extends',)]}: extends: goes round in a circle: {circle}")
    older = _with_parents(parent, children, registry)
    return Source(merged(older.value, own, registry), {**older.marks, **source.marks})


def _parent(path: Path, name: Any, mark: Mark, registry: Registry) -> Path:
    if not isinstance(name, str):
        raise RecipeError(f"{mark}: extends: must be the path of one recipe, not {shown(name)}")
    parent = Path(os.path.normpath(path.parent / name))
    if parent.is_file():
        return parent
    if name in (there := shipped.recipes(registry)):
        return there[name]
    raise RecipeError(f"{mark}: extends: no such file: {parent}; the path starts at the folder of this recipe")


def _with_sections(source: Source, registry: Registry) -> Source:
    """The source with `rank:` and the like, which have nothing written after them, as empty mappings."""
    value = source.value
    for path in sorted(source.blank, key=len):
        if path in SECTIONS or (len(path) == 2 and path[0] == "stages"):
            value = _put(value, path, {}, registry)
    return replace(source, value=value)


def merged(old: Mapping[str, Any], new: Mapping[str, Any], registry: Registry, path: KeyPath = ()) -> dict[str, Any]:
    """`old` with what `new` says put over it."""
    gone = [rival for key in new for rival in RIVALS.get(key, ())] if not path else []
    result = {key: value for key, value in old.items() if key not in gone}
    for key, value in new.items():
        result[key] = _over(result.get(key), value, registry, (*path, key))
    return result


def _over(old: Any, new: Any, registry: Registry, path: KeyPath) -> Any:
    """Two mappings as one; anything else, a choice of another name and `reduce` are replaced whole."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    replaced = path == ("reduce",) or (old.keys() != new.keys() and menu_at(path, registry))
    return new if replaced else merged(old, new, registry, path)


def _overridden(source: Source, override: str, registry: Registry) -> Source:
    """The source with one `key.path=value` put in place; the value replaces what was there."""
    name, equals, text = override.partition("=")
    if not (equals and name.strip()):
        raise RecipeError(f"{COMMAND_LINE}: '{override}' sets nothing; write key=value, as stages.base.steps=1000")
    path = tuple(int(key) if key.isdigit() else key for key in name.strip().split("."))
    try:
        new = yaml_reader.parse(text, COMMAND_LINE.file)
    except RecipeError as error:
        raise RecipeError(f"{COMMAND_LINE}: {name}: {str(error).split(': ', 1)[1]}") from None
    try:
        value = _put(source.value, path, new.value, registry)
    except LookupError as error:
        raise RecipeError(f"{COMMAND_LINE}: {name}: {error.args[0]}") from None
    marks = {path[:length]: COMMAND_LINE for length in range(1, len(path) + 1)}
    return Source(
        value, {**marks, **source.marks, path: COMMAND_LINE, **{(*path, *p): COMMAND_LINE for p in new.marks}}
    )


def _put(old: Any, path: KeyPath, new: Any, registry: Registry, above: KeyPath = ()) -> Any:
    """`old` with the value at `path` exchanged. Raises LookupError where an index has no list to point into."""
    if not path:
        return new
    key, *rest = path
    here = (*above, key)
    if isinstance(key, int):
        if not isinstance(old, tuple):
            raise LookupError(f"there is no list '{_dotted(above)}' in the recipe whose item could be set")
        if key >= len(old):
            raise LookupError(f"the list has {len(old)} items; the last is {len(old) - 1}")
        return (*old[:key], _put(old[key], tuple(rest), new, registry, here), *old[key + 1 :])
    kept = _kept(old, key, registry, above)
    return {**kept, key: _put(kept.get(key), tuple(rest), new, registry, here)}


def _kept(old: Any, key: str, registry: Registry, path: KeyPath) -> dict[str, Any]:
    """What stays of the value at `path` when its `key` is set."""
    if menu_at(path, registry) and not (isinstance(old, dict) and key in old):
        return {}
    if old is not None and not isinstance(old, dict):
        raise LookupError(f"'{_dotted(path)}' is {shown(old)}, which has no keys to set; give a mapping in its place")
    gone = RIVALS.get(key, ()) if not path else ()
    return {name: value for name, value in (old or {}).items() if name not in gone}


def menu_at(path: KeyPath, registry: Registry) -> str | None:
    """The menu from which the value at `path` is chosen; None: it is no choice."""
    if path in CHOICES:
        return CHOICES[path]
    if path[:1] == ("branches",) and path[2:] == ("backbone",):
        return "backbones"
    if len(path) < 3:
        return None
    *above, name, option = path  # an option of what is chosen there may be a choice itself
    kind = menu_at(tuple(above), registry)
    component = registry[kind].get(str(name)) if kind else None
    return choices_of(component.component).get(str(option)) if component else None


def _dotted(path: KeyPath) -> str:
    return ".".join(map(str, path))
