"""The options of a model in words: their types, defaults and meanings."""

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
"""JSON's types by the words of the documentation."""
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most", "exclusiveMaximum": "less than"}


def documents(model: type) -> list[dict[str, Any]]:
    """Each option: name, type, whether it must be given, its default and what it means."""
    if not issubclass(model, BaseModel):
        return []
    schema = model.model_json_schema()
    inner = schema.get("$defs", {})
    return [
        {
            "name": name,
            "type": kind(part, inner),
            "required": name in schema.get("required", ()),
            "default": part.get("default"),
            "about": part.get("description", "").replace("\n", " "),
        }
        for name, part in schema.get("properties", {}).items()
    ]


def kind(part: Schema, inner: Mapping[str, Schema]) -> str:
    """What a value may be, in words: `whole number, at least 1`."""
    if "$ref" in part:
        return kind(inner[part["$ref"].rpartition("/")[2]], inner)
    if "x-kind" in part:
        return f"choice of {part['x-kind']}"
    if "anyOf" in part:
        kinds = [kind(one, inner) for one in part["anyOf"] if one.get("type") != "null"]
        return ", or ".join(dict.fromkeys(kinds))
    if "enum" in part or "const" in part:
        return ", ".join(map(str, part.get("enum") or [part["const"]]))
    if part.get("type") == "array":
        return _list(part, inner)
    name = PLAIN.get(part.get("type", ""), "anything")
    return ", ".join([name, *(f"{word} {part[bound]}" for bound, word in BOUNDS.items() if bound in part)])


def _list(part: Schema, inner: Mapping[str, Schema]) -> str:
    if "prefixItems" in part:
        kinds = [kind(one, inner) for one in part["prefixItems"]]
        return f"list of {len(kinds)}: {'; '.join(dict.fromkeys(kinds))}"
    return f"list of {kind(part['items'], inner)}" if part.get("items") else "list"
