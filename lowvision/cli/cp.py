"""`lowvision cp`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lowvision.cli.answers import answer
from lowvision.cli.words import AsJson

if TYPE_CHECKING:
    from lowvision.recipe.shipped import Copy


def cp(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A shipped recipe, as `lowvision ls recipes` lists.")],
    destination: Annotated[str, typer.Argument(metavar="DEST", help="A file that ends in .yml, or a folder.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy a shipped recipe, to edit it."""
    from lowvision.plugins import registry
    from lowvision.recipe import shipped

    made = shipped.copy(recipe, destination, registry.load(), force)
    document = {"recipe": made.name, "file": str(made.file), "extends": made.extends}
    answer(document, as_json, lambda document: _text(made))


def _text(made: Copy) -> str:
    extends = f", which extends the shipped {made.extends}" if made.extends else ""
    schema = made.file.with_name("schema.json")
    editors = "" if schema.is_file() else f"\nfor your editor's help: lowvision schema > {schema}"
    return f"{made.file}: a copy of {made.name}{extends}{editors}"
