"""`lowvision cp`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lowvision.cli.output import print_document
from lowvision.cli.parameters import AsJson

if TYPE_CHECKING:
    from lowvision.recipe.shipped import Copy


def cp(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Name of a shipped recipe (`lowvision ls recipes`).")],
    destination: Annotated[str, typer.Argument(metavar="DEST", help="File to write (ending .yml), or folder.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy a shipped recipe for editing."""
    from lowvision.plugins import registry
    from lowvision.recipe import shipped

    recipe_copy = shipped.copy(recipe, destination, registry.load(), force)
    document = {"recipe": recipe_copy.name, "file": str(recipe_copy.file), "extends": recipe_copy.extends}
    print_document(document, as_json, lambda document: _text(recipe_copy))


def _text(recipe_copy: Copy) -> str:
    extends = f", which extends the shipped {recipe_copy.extends}" if recipe_copy.extends else ""
    schema = recipe_copy.file.with_name("schema.json")
    hint = "" if schema.is_file() else f"\nfor completion in your editor: lowvision schema > {schema}"
    return f"{recipe_copy.file}: a copy of {recipe_copy.name}{extends}{hint}"
