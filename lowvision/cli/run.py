"""`lowvision run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lowvision.cli.parameters import Device, Overrides, RecipeFile
from lowvision.cli.processes import run_in_processes


def run(
    recipe: RecipeFile,
    overrides: Overrides = None,
    name: Annotated[str | None, typer.Option(help="Name of the run's folder. Default: name of the recipe.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder that contains the folders of all runs.")] = Path("runs"),
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Start again: first remove all files that the run wrote."),
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Random seed; the same as the override seed=N.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Number of processes that train together.")] = 1,
    device: Device = "auto",
) -> None:
    """Run a recipe from its first stage to its report; the same command resumes an interrupted run."""
    from lowvision.pipeline import run_folder
    from lowvision.plugins import registry
    from lowvision.recipe import reading, shipped

    changes = [*(overrides or ()), *([] if seed is None else [f"seed={seed}"])]
    components = registry.load()
    path = shipped.find(recipe, components)
    folder = runs / run_folder.checked_name(path.stem if name is None else name)
    parsed = reading.read(path, components, changes)
    if processes > 1:
        raise typer.Exit(run_in_processes(processes, device))
    from lowvision.pipeline import run

    run.run(parsed, components, path, folder, restart, device)
