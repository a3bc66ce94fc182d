"""The words that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the recipe, as stages.base.steps=1000."),
]
Device = Annotated[str, typer.Option(help="cpu, cuda, mps or auto.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
