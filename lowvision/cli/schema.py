"""`lowvision schema`."""

from __future__ import annotations

import json

import typer


def schema() -> None:
    """Print the JSON schema of recipes, for completion and validation in editors."""
    from lowvision.plugins import registry
    from lowvision.recipe.schema import schema

    typer.echo(json.dumps(schema(registry.load()), indent=1, ensure_ascii=False))
