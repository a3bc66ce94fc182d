"""From a recipe file to a frozen Recipe, with every complaint at once; and back to a text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lowvision.config import yaml_reader
from lowvision.config.validation import ValidationIssue, from_error, name_hint
from lowvision.config.yaml_reader import KeyPath, Mark
from lowvision.errors import RecipeError
from lowvision.plugins.registry import Registry
from lowvision.recipe import extending, shorthand
from lowvision.recipe.models import Recipe

SHORT_FORMS = ("backbone", "reduce", "extends")
"""What a file may say besides the fields of a Recipe."""


def read(path: Path | str, registry: Registry, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe that a file, its parents and `key.path=value` overrides make together.

    Raises RecipeError with every complaint, one a line: `file:line: path: message`.
    """
    source = extending.gather(Path(path), registry, overrides)
    full, complaints = shorthand.write_out(source.value, registry)
    try:
        recipe = Recipe.model_validate(full, context=registry)
    except ValidationError as error:
        # A branch that a short form could not be written out for has been complained about.
        told = {complaint.path[:2] for complaint in complaints if complaint.path[0] == "branches"}
        complaints += [c for c in _from_recipe(error, full, source.value) if c.path[:2] not in told]
    if complaints:
        raise RecipeError("\n".join(_located(complaints, source.marks, str(path))))
    return recipe


def resolved(recipe: Recipe, registry: Registry) -> str:
    """The YAML of a recipe with every default filled in; `read` makes an equal recipe of it."""
    return yaml_reader.dump(_plain(recipe, registry))


def _plain(recipe: Recipe, registry: Registry) -> dict[str, Any]:
    return recipe.model_dump(mode="json", context=registry)


def _from_recipe(error: ValidationError, full: Mapping[str, Any], said: Mapping[str, Any]) -> Iterable[ValidationIssue]:
    """The complaints about the written-out recipe, each once, told of what the user wrote."""
    told = [_as_written(complaint, full, said) for complaint in from_error(error, Recipe, full)]
    return dict.fromkeys(complaint for complaint in told if complaint is not None)


def _as_written(complaint: ValidationIssue, full: Mapping[str, Any], said: Mapping[str, Any]) -> ValidationIssue | None:
    """The complaint in terms of the short forms; None where a complaint about these has been made already."""
    path, message = complaint.path, complaint.message
    if path[:1] == ("branches",) and "branches" not in said and not {"backbone", "reduce"}.isdisjoint(said):
        return ValidationIssue(("backbone",), message) if full.get("branches") else None
    if path == ("branches",) and "branches" not in said:
        told = "is missing; give a backbone, with reduce for smaller ones beside it, or a list of branches"
    elif len(path) == 1 and path[0] not in Recipe.model_fields:
        told = "unknown key" + name_hint(str(path[0]), [*Recipe.model_fields, *SHORT_FORMS])
    elif path[:1] == ("data",) and len(path) > 1 and isinstance(word := full["data"].get(path[-1]), str):
        told = f"{message}; a folder is written with a slash, as ./{word}"
    else:
        told = message
    return ValidationIssue(path, told)


def _located(complaints: Iterable[ValidationIssue], marks: Mapping[KeyPath, Mark], main: str) -> Iterable[str]:
    """`file:line: path: message`, the recipe's own lines first, then its parents' and the command line's."""

    def place(complaint: ValidationIssue) -> tuple[bool, Mark]:
        mark = _mark(complaint.path, marks)
        return mark.file != main, mark

    for complaint in sorted(complaints, key=place):
        parts = (_mark(complaint.path, marks), ".".join(map(str, complaint.path)), complaint.message)
        yield ": ".join(str(part) for part in parts if part)


def _mark(path: KeyPath, marks: Mapping[KeyPath, Mark]) -> Mark:
    """The place of the key itself, or of the nearest key around it."""
    while path not in marks:
        path = path[:-1]
    return marks[path]
