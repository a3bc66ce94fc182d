"""`lowvision run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lowvision.cli.launching import launched
from lowvision.cli.words import Device, Overrides, RecipeFile


def run(
    recipe: RecipeFile,
    overrides: Overrides = None,
    name: Annotated[str | None, typer.Option(help="Name of the run's folder; else the recipe's.")] = None,
    runs: Annotated[Path, typer.Option(help="Where the folders of runs are.")] = Path("runs"),
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew: delete what the run has so far.")] = False,
    seed: Annotated[int | None, typer.Option(help="Short for the override seed=N.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="How many processes train together.")] = 1,
    device: Device = "auto",
) -> None:
    """Run a recipe from its first stage to its report; the same command again goes on where it stopped."""
    changes = [*(overrides or ()), *([] if seed is None else [f"seed={seed}"])]
    from lowvision.plugins import registry
    from lowvision.recipe import reading

    known = registry.load()
    found = reading.read(recipe, known, changes)
    if processes > 1:
        raise typer.Exit(launched(processes, device))
    from lowvision.pipeline import run

    run.run(found, known, recipe, runs / (name or recipe.stem), restart, device)
