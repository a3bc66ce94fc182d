"""Read a recipe file as a Recipe, reporting all validation issues at once; write a Recipe as YAML."""

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
from lowvision.recipe.stage_menu import Stages, menu

SHORT_FORMS = ("backbone", "reduce", "extends")
"""Keys of a file in addition to the fields of a Recipe."""


def read(path: Path | str, registry: Registry, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe of a file, its parents and `key.path=value` overrides.

    Raises RecipeError with all validation issues, one per line: `file:line: path: message`.
    """
    source = extending.gather(Path(path), registry, overrides)
    full, issues = shorthand.expand(source.value, registry)
    try:
        recipe = Recipe.model_validate(full, context=registry)
    except ValidationError as error:
        # A branch whose short form is invalid has an issue already.
        reported = {issue.path[:2] for issue in issues if issue.path[0] == "branches"}
        issues += [issue for issue in _from_recipe(error, full, source.value) if issue.path[:2] not in reported]
        issues = issues or list(from_error(error, Recipe, full))
    if issues:
        raise RecipeError("\n".join(_located(issues, source.marks, str(path))))
    return recipe


def resolved(recipe: Recipe, registry: Registry) -> str:
    """Return a recipe as YAML with all defaults filled in; `read` returns an equal recipe from it."""
    plain = _plain(recipe, registry)
    for name in _skipped(recipe, registry):
        del plain["stages"][name]
    return yaml_reader.dump(plain)


def _skipped(recipe: Recipe, registry: Registry) -> Iterable[str]:
    """Return the default stages that lack something, e.g. test data, which is an error only if a recipe has them."""
    stages = recipe.stages
    explicit = recipe.model_copy(update={"stages": Stages(stages, menu(registry), stages)})
    return [name for name in stages if name not in stages.written and any(stages[name].issues(explicit))]


def _plain(recipe: Recipe, registry: Registry) -> dict[str, Any]:
    return recipe.model_dump(mode="json", context=registry)


def _from_recipe(error: ValidationError, full: Mapping[str, Any], raw: Mapping[str, Any]) -> Iterable[ValidationIssue]:
    """Return the issues of the expanded recipe, each once, in terms of the file's short forms."""
    issues = [_as_written(issue, full, raw) for issue in from_error(error, Recipe, full)]
    return dict.fromkeys(issue for issue in issues if issue is not None)


def _as_written(issue: ValidationIssue, full: Mapping[str, Any], raw: Mapping[str, Any]) -> ValidationIssue | None:
    """Return an issue in terms of the short forms; None if these have an issue already."""
    path, message = issue.path, issue.message
    has_short_form = raw.get("backbone") is not None or raw.get("reduce") is not None
    if path[:1] == ("branches",) and "branches" not in raw and has_short_form:
        return ValidationIssue(("backbone",), message) if full.get("branches") else None
    if path == ("branches",) and "branches" not in raw:
        message = "is missing; give a backbone, with reduce for smaller branches, or a list of branches"
    elif len(path) == 1 and path[0] not in Recipe.model_fields:
        message = "unknown key" + name_hint(str(path[0]), [*Recipe.model_fields, *SHORT_FORMS])
    elif path[:1] == ("data",) and len(path) > 1 and isinstance(name := full["data"].get(path[-1]), str):
        message = f"{message}; write a folder with a slash, e.g. ./{name}"
    return ValidationIssue(path, message)


def _located(issues: Iterable[ValidationIssue], marks: Mapping[KeyPath, Mark], main: str) -> Iterable[str]:
    """Yield `file:line: path: message`, first for the recipe itself, then for its parents and the command line."""

    def position(issue: ValidationIssue) -> tuple[bool, Mark]:
        mark = _mark(issue.path, marks)
        return mark.file != main, mark

    for issue in sorted(issues, key=position):
        parts = (_mark(issue.path, marks), ".".join(map(str, issue.path)), issue.message)
        yield ": ".join(str(part) for part in parts if part)


def _mark(path: KeyPath, marks: Mapping[KeyPath, Mark]) -> Mark:
    """Return the position of a key, or of the nearest key above it."""
    while path not in marks:
        path = path[:-1]
    return marks[path]
