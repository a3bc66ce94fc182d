"""Merge a recipe file with its parents, and overrides of the command line with both."""

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
"""Key paths of choices and their kinds; a choice with another name replaces the old one and all its options."""

SECTIONS: frozenset[KeyPath] = frozenset({("tile",), ("data",), ("stages",)})
"""Keys that, like stages, may have no value, which means their defaults."""

RIVALS: Mapping[str, tuple[str, ...]] = {
    "branches": ("backbone", "reduce"),
    "backbone": ("branches",),
    "reduce": ("branches",),
}
"""Alternative keys for the branches: the later one replaces the earlier."""


def gather(path: Path, registry: Registry, overrides: Sequence[str] = ()) -> Source:
    """Return the file, its parents and `key.path=value` overrides as one mapping.

    Mappings are merged by key; lists, plain values, `reduce` and choices of another name are replaced.
    Raises RecipeError if a file cannot be read, extends itself, or an override cannot be applied.
    """
    source = _with_parents(path, (), registry)
    errors = []
    for override in overrides:
        try:
            source = _overridden(source, override, registry)
        except RecipeError as error:
            errors.append(str(error))
    if errors:
        raise RecipeError("\n".join(errors))
    return source


def _with_parents(path: Path, children: tuple[Path, ...], registry: Registry) -> Source:
    source = _with_sections(yaml_reader.read(path), registry)
    if not isinstance(source.value, dict):
        problem = "is empty" if source.value is None else f"holds {shown(source.value)}"
        raise RecipeError(f"{path}: {problem}; a recipe is a mapping with keys such as task, backbone and stages")
    if "extends" not in source.value:
        return source
    child = {key: value for key, value in source.value.items() if key != "extends"}
    parent = _parent(path, source.value["extends"], source.marks[("extends",)], registry)
    children = (*children, path)
    if parent.resolve() in [child.resolve() for child in children]:
        cycle = " -> ".join(map(str, (*children, parent)))
        raise RecipeError(f"{source.marks[('extends',)]}: extends: recipes extend each other in a cycle: {cycle}")
    base = _with_parents(parent, children, registry)
    return Source(merged(base.value, child, registry), {**base.marks, **source.marks})


def _parent(path: Path, name: Any, mark: Mark, registry: Registry) -> Path:
    if not isinstance(name, str):
        raise RecipeError(f"{mark}: extends: must be the path of one recipe, not {shown(name)}")
    parent = Path(os.path.normpath(path.parent / name))
    if os.path.isfile(parent):
        return parent
    if name in (shipped_recipes := shipped.recipes(registry)):
        return shipped_recipes[name]
    raise RecipeError(f"{mark}: extends: no such file: {parent}; the path starts at the folder of this recipe")


def _with_sections(source: Source, registry: Registry) -> Source:
    """Return the source with sections and stages without a value, e.g. `rank:`, as empty mappings."""
    value = source.value
    for path in sorted(source.blank, key=len):
        if path in SECTIONS or (len(path) == 2 and path[0] == "stages"):
            value = _put(value, path, {}, registry)
    return replace(source, value=value)


def merged(old: Mapping[str, Any], new: Mapping[str, Any], registry: Registry, path: KeyPath = ()) -> dict[str, Any]:
    """Return `old` merged with `new`, which takes precedence."""
    replaced = [rival for key in new for rival in RIVALS.get(key, ())] if not path else []
    result = {key: value for key, value in old.items() if key not in replaced}
    for key, value in new.items():
        result[key] = _merged_value(result.get(key), value, registry, (*path, key))
    return result


def _merged_value(old: Any, new: Any, registry: Registry, path: KeyPath) -> Any:
    """Merge two mappings; replace anything else, choices of another name and `reduce`."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    replaced = path == ("reduce",) or (old.keys() != new.keys() and kind_at(path, registry))
    return new if replaced else merged(old, new, registry, path)


def _overridden(source: Source, override: str, registry: Registry) -> Source:
    """Return the source with one override `key.path=value` applied."""
    name, equals, text = override.partition("=")
    if not (equals and name.strip()):
        raise RecipeError(f"{COMMAND_LINE}: '{override}' is not an override; write key=value, e.g. seed=1")
    path = tuple(_key(key) for key in name.strip().split("."))
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


def _key(text: str) -> str | int:
    """Return a key of an override as an index if it is one; `²` and numbers of thousands of digits are none."""
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 10 else text


def _put(old: Any, path: KeyPath, new: Any, registry: Registry, above: KeyPath = ()) -> Any:
    """Return `old` with the value at `path` replaced. Raises LookupError if an index does not point into a list."""
    if not path:
        return new
    key, *below = path
    position = (*above, key)
    if isinstance(key, int):
        if not isinstance(old, tuple):
            raise LookupError(f"'{_dotted(above)}' is not a list in the recipe; set the whole value")
        if key >= len(old):
            raise LookupError(f"the list has {len(old)} items; use 0..{len(old) - 1}")
        return (*old[:key], _put(old[key], tuple(below), new, registry, position), *old[key + 1 :])
    kept = _kept(old, key, registry, above)
    return {**kept, key: _put(kept.get(key), tuple(below), new, registry, position)}


def _kept(old: Any, key: str, registry: Registry, path: KeyPath) -> dict[str, Any]:
    """Return the part of the value at `path` that is kept if its `key` is set."""
    if kind_at(path, registry) and not (isinstance(old, dict) and key in old):
        return {}
    if old is not None and not isinstance(old, dict):
        raise LookupError(f"'{_dotted(path)}' is {shown(old)}, which has no keys; set it to a mapping")
    replaced = RIVALS.get(key, ()) if not path else ()
    return {name: value for name, value in (old or {}).items() if name not in replaced}


def kind_at(path: KeyPath, registry: Registry) -> str | None:
    """Return the kind of the choice at `path`; None if it is not a choice."""
    if path in CHOICES:
        return CHOICES[path]
    if path[:1] == ("branches",) and path[2:] == ("backbone",):
        return "backbones"
    if len(path) < 3:
        return None
    *above, name, option = path  # an option of a choice or of a stage may be a choice itself
    kind = "stages" if above == ["stages"] else kind_at(tuple(above), registry)
    component = registry[kind].get(str(name)) if kind else None
    return choices_of(component.component).get(str(option)) if component else None


def _dotted(path: KeyPath) -> str:
    return ".".join(map(str, path))
