"""Claims about the JSON schema that editors use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import toys

from lowvision.plugins import entry_points, registry
from lowvision.recipe.schema import schema

ROOT = Path(__file__).parents[2]
FIRST_PARTY = (*entry_points.CORE, "lowvision_")


def parts(part: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping in the schema."""
    if isinstance(part, dict):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from parts(inner)


def test_every_reference_in_the_schema_resolves() -> None:
    document = schema(toys.registry())
    references = {part["$ref"] for part in parts(document) if isinstance(part.get("$ref"), str)}
    assert references <= {f"#/$defs/{name}" for name in document["$defs"]}
    assert not any("x-kind" in part for part in parts(document))


def test_a_choice_is_a_name_or_one_name_with_its_options() -> None:
    *bare, with_options = schema(toys.registry())["$defs"]["backbones"]["anyOf"]
    assert bare[0] == {"const": "net", "description": "A network with two options."}
    assert with_options["properties"] == {
        "net": {"$ref": "#/$defs/backbones.net"},
        "halves": {"$ref": "#/$defs/backbones.halves"},
    }
    assert (with_options["minProperties"], with_options["maxProperties"]) == (1, 1)


def test_options_have_descriptions_and_unknown_options_are_rejected() -> None:
    net = schema(toys.registry())["$defs"]["backbones.net"]
    assert net["properties"]["channels"] == {
        "default": 64,
        "description": "Width.",
        "minimum": 1,
        "title": "Channels",
        "type": "integer",
    }
    assert net["additionalProperties"] is False


def test_a_component_with_a_required_option_has_no_bare_name() -> None:
    names = [choice.get("const") for choice in schema(toys.registry())["$defs"]["datasets"]["anyOf"]]
    assert "meadow" in names
    assert "folder" not in names


def test_the_schema_contains_the_short_forms() -> None:
    document = schema(toys.registry())
    assert {"extends", "backbone", "reduce", "branches", "stages"} <= document["properties"].keys()
    assert document["properties"]["reduce"]["properties"].keys() == {"channels", "layers"}
    assert document["additionalProperties"] is False


def test_the_shipped_schema_equals_that_of_the_first_party_plugins() -> None:
    ours = [plugin for plugin in entry_points.installed() if plugin.module.startswith(FIRST_PARTY)]
    shipped = json.loads((ROOT / "recipes" / "schema.json").read_text())
    assert shipped == schema(registry.Registry(ours)), "make it anew: lowvision schema > recipes/schema.json"
