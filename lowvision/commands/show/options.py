"""Describe the options of a model: types, defaults and meanings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

Schema = Mapping[str, Any]

PLAIN = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "object": "mapping",
}
"""Names of JSON types in the documentation."""
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most", "exclusiveMaximum": "less than"}


def documents(model: type) -> list[dict[str, Any]]:
    """Describe each option: name, type, whether it is required, default and meaning."""
    if not issubclass(model, BaseModel):
        return []
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    return [
        {
            "name": name,
            "type": kind(part, definitions),
            "required": name in schema.get("required", ()),
            "default": part.get("default"),
            "about": part.get("description", "").replace("\n", " "),
        }
        for name, part in schema.get("properties", {}).items()
    ]


def kind(part: Schema, definitions: Mapping[str, Schema]) -> str:
    """Describe the type of a value, e.g. `whole number, at least 1`."""
    if "$ref" in part:
        return kind(definitions[part["$ref"].rpartition("/")[2]], definitions)
    if "x-kind" in part:
        return f"choice of {part['x-kind']}"
    if "anyOf" in part:
        kinds = [kind(branch, definitions) for branch in part["anyOf"] if branch.get("type") != "null"]
        return ", or ".join(dict.fromkeys(kinds))
    if "enum" in part or "const" in part:
        return ", ".join(map(str, part.get("enum") or [part["const"]]))
    if part.get("type") == "array":
        return _list(part, definitions)
    name = PLAIN.get(part.get("type", ""), "anything")
    return ", ".join([name, *(f"{phrase} {part[bound]}" for bound, phrase in BOUNDS.items() if bound in part)])


def _list(part: Schema, definitions: Mapping[str, Schema]) -> str:
    if "prefixItems" in part:
        kinds = [kind(item, definitions) for item in part["prefixItems"]]
        return f"list of {len(kinds)}: {'; '.join(dict.fromkeys(kinds))}"
    return f"list of {kind(part['items'], definitions)}" if part.get("items") else "list"
