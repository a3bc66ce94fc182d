"""The JSON schema of a recipe file, from which editors complete words, show descriptions and mark mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lowvision.plugins.registry import Entry, Registry
from lowvision.recipe.models import Recipe

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LEVELS: Schema = {"type": "array", "items": {"type": ["number", "string"]}, "minItems": 1}


def schema(registry: Registry) -> Schema:
    """What a file may say, given what the installed plugins provide."""
    recipe = Recipe.model_json_schema()
    definitions: Schema = recipe.pop("$defs")
    of_file = _of_file(registry["formats"])
    definitions["Branch"] = {"anyOf": [definitions["Branch"], {"x-kind": "backbones"}, of_file]}
    for kind, provided in registry.items():
        definitions[kind] = _menu(kind, provided)
        for name, entry in provided.items():
            definitions |= _options(kind, name, entry)
    definitions["datasets"]["anyOf"].append({"type": "string", "description": "The path of a folder of photographs."})
    written = {
        **recipe,
        "$schema": DIALECT,
        "properties": {**_short_forms(registry["reducers"], of_file), **recipe["properties"]},
        "required": [],
        "anyOf": [{"required": ["extends"]}, {"required": ["task"]}],
        "$defs": definitions,
    }
    return _with_menus(written)


def _short_forms(reducers: Mapping[str, Entry], of_file: Schema) -> Schema:
    """What a file may say besides the fields of a Recipe."""
    return {
        "extends": {
            "type": "string",
            "description": "The recipe that this one changes: a path from this file, or a shipped one.",
        },
        "backbone": {
            "anyOf": [{"x-kind": "backbones"}, of_file],
            "description": "The network to be accelerated; `reduce` makes branches.",
        },
        "reduce": {
            "description": "Reducers and one level of each for every branch; the last branch is the base.",
            "type": "object",
            "additionalProperties": False,
            "properties": {name: {"anyOf": [LEVELS, _with_levels(entry)]} for name, entry in reducers.items()},
        },
    }


def _of_file(formats: Mapping[str, Entry]) -> Schema:
    """A branch that is a weights file, by `weights` or by its format."""
    file = {"type": "string", "description": "A weights file of one network."}
    return {
        "type": "object",
        "properties": dict.fromkeys(("weights", *formats), file),
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


def _with_levels(reducer: Entry) -> Schema:
    """A reducer's options, and its levels among them."""
    options = _model(reducer, f"reducers.{reducer.name}")
    options.pop("$defs", None)  # they stand among the definitions already
    return {
        **options,
        "properties": {"levels": LEVELS, **options["properties"]},
        "required": ["levels", *options.get("required", [])],
    }


def _menu(kind: str, provided: Mapping[str, Entry]) -> Schema:
    """A choice from a menu: a name, or a name with its options."""
    with_options = {
        "type": "object",
        "properties": {name: {"$ref": f"#/$defs/{kind}.{name}"} for name in provided},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    bare = [
        {"const": name, "description": (entry.component.__doc__ or "").strip()}
        for name, entry in provided.items()
        if not _model(entry, "").get("required")
    ]
    return {"anyOf": [*bare, with_options]}


def _options(kind: str, name: str, entry: Entry) -> Schema:
    """The options of one thing under `menu.name`, and the models inside them under `menu.name.Model`."""
    key = f"{kind}.{name}"
    options = _model(entry, key)
    inner = options.pop("$defs", {})
    return {key: options, **{f"{key}.{model}": inside for model, inside in inner.items()}}


def _model(entry: Entry, key: str) -> Schema:
    made: Schema = entry.component.model_json_schema(ref_template=f"#/$defs/{key}.{{model}}")  # type: ignore[attr-defined]  # every contract is an Options
    return {"properties": {}, **made}


def _with_menus(part: Any) -> Any:
    """The schema with every mention of a menu as a reference to its definition."""
    if isinstance(part, list):
        return [_with_menus(item) for item in part]
    if not isinstance(part, dict):
        return part
    found = {key: _with_menus(value) for key, value in part.items() if key != "x-kind"}
    return {"$ref": f"#/$defs/{part['x-kind']}", **found} if "x-kind" in part else found
