"""`lowvision check`."""

from __future__ import annotations

from typing import Annotated

import typer

from lowvision.cli.words import Overrides, RecipeFile


def check(
    recipe: RecipeFile,
    overrides: Overrides = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="Print the recipe with all defaults.")] = False,
    build: Annotated[bool, typer.Option("--build", help="Also try networks, files and names.")] = False,
) -> None:
    """Tell everything that is wrong with a recipe."""
    from lowvision.plugins import registry
    from lowvision.recipe import reading

    known = registry.load()
    found = reading.read(recipe, known, overrides or ())
    if build:
        from lowvision.pipeline import preflight

        preflight.check(found, known)
    typer.echo(reading.resolved(found, known).rstrip() if resolved else f"{recipe}: nothing wrong")
