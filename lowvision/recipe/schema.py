"""The JSON schema of recipe files, for completion, descriptions and validation in editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lowvision.plugins.registry import Entry, Registry
from lowvision.recipe.models import Recipe

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LEVELS: Schema = {"type": "array", "items": {"type": ["number", "string"]}, "minItems": 1}


def schema(registry: Registry) -> Schema:
    """Return the schema of recipe files with the components of all plugins in the registry."""
    recipe = Recipe.model_json_schema()
    definitions: Schema = recipe.pop("$defs")
    weights_file = _weights_file(registry["formats"])
    definitions["Branch"] = {"anyOf": [definitions["Branch"], {"x-kind": "backbones"}, weights_file]}
    for kind, provided in registry.items():
        definitions[kind] = _choice(kind, provided)
        for name, entry in provided.items():
            definitions |= _options(kind, name, entry)
    definitions["stages"] = _stages(registry["stages"])
    definitions["datasets"]["anyOf"].append({"type": "string", "description": "The path of a folder of photographs."})
    document = {
        **recipe,
        "$schema": DIALECT,
        "properties": {
            **_short_forms(registry["reducers"], weights_file),
            **recipe["properties"],
            "stages": {**recipe["properties"]["stages"], "$ref": "#/$defs/stages"},
        },
        "required": [],
        "anyOf": [{"required": ["extends"]}, {"required": ["task"]}],
        "$defs": definitions,
    }
    return _with_references(document)


def _short_forms(reducers: Mapping[str, Entry], weights_file: Schema) -> Schema:
    """Return the keys of a file in addition to the fields of a Recipe."""
    return {
        "extends": {
            "type": "string",
            "description": "The recipe to modify: a path relative to this file, or the name of a shipped recipe.",
        },
        "backbone": {
            "anyOf": [{"x-kind": "backbones"}, weights_file],
            "description": "The network to accelerate; `reduce` derives the smaller branches from it.",
        },
        "reduce": {
            "description": "Reducers, each with one level per branch; the last branch is the base.",
            "type": "object",
            "additionalProperties": False,
            "properties": {name: {"anyOf": [LEVELS, _with_levels(entry)]} for name, entry in reducers.items()},
        },
    }


def _weights_file(formats: Mapping[str, Entry]) -> Schema:
    """Return the schema of a branch that is a weights file, under `weights` or the name of its format."""
    file = {"type": "string", "description": "A weights file of one network."}
    return {
        "type": "object",
        "properties": dict.fromkeys(("weights", *formats), file),
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


def _with_levels(reducer: Entry) -> Schema:
    """Return the schema of a reducer's options and its levels."""
    options = _model(reducer, f"reducers.{reducer.name}")
    options.pop("$defs", None)  # they are among the definitions already
    return {
        **options,
        "properties": {"levels": LEVELS, **options["properties"]},
        "required": ["levels", *options.get("required", [])],
    }


def _choice(kind: str, provided: Mapping[str, Entry]) -> Schema:
    """Return the schema of a choice: a name, or a name with options."""
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


def _stages(provided: Mapping[str, Entry]) -> Schema:
    """Return the schema of the stages: options by name; null leaves a stage out, or gives it its defaults."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: {
                "anyOf": [{"$ref": f"#/$defs/stages.{name}"}, {"type": "null"}],
                "description": (entry.component.__doc__ or "").strip(),
            }
            for name, entry in provided.items()
        },
    }


def _options(kind: str, name: str, entry: Entry) -> Schema:
    """Return the schemas of a component, `kind.name`, and of the models among its options, `kind.name.Model`."""
    key = f"{kind}.{name}"
    options = _model(entry, key)
    inner = options.pop("$defs", {})
    return {key: options, **{f"{key}.{model}": inside for model, inside in inner.items()}}


def _model(entry: Entry, key: str) -> Schema:
    json_schema: Schema = entry.component.model_json_schema(ref_template=f"#/$defs/{key}.{{model}}")  # type: ignore[attr-defined]  # every contract is an Options
    return {"properties": {}, **json_schema}


def _with_references(part: Any) -> Any:
    """Return the schema with each `x-kind` replaced by a reference to the definition of the kind."""
    if isinstance(part, list):
        return [_with_references(item) for item in part]
    if not isinstance(part, dict):
        return part
    resolved = {key: _with_references(value) for key, value in part.items() if key != "x-kind"}
    return {"$ref": f"#/$defs/{part['x-kind']}", **resolved} if "x-kind" in part else resolved
