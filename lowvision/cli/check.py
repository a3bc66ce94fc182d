"""`lowvision check`."""

from __future__ import annotations

from typing import Annotated

import typer

from lowvision.cli.parameters import Overrides, RecipeFile


def check(
    recipe: RecipeFile,
    overrides: Overrides = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="Print the recipe with all default values.")] = False,
    build: Annotated[
        bool, typer.Option("--build", help="Also build the networks and look up files and names.")
    ] = False,
) -> None:
    """Validate a recipe and print every error in it."""
    from lowvision.plugins import registry
    from lowvision.recipe import reading, shipped

    components = registry.load()
    path = shipped.find(recipe, components)
    parsed = reading.read(path, components, overrides or ())
    if build:
        from lowvision.pipeline import network_issues, preflight

        preflight.check(parsed, components)
        if warning := network_issues.costly_classifier(parsed):
            typer.echo(warning, err=True)
    typer.echo(reading.resolved(parsed, components).rstrip() if resolved else f"{path}: nothing wrong")
