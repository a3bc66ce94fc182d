"""The words that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def _found(word: Path) -> Path:
    """The recipe that the word means."""
    from lowvision import shipped

    return shipped.find(word)


RecipeFile = Annotated[
    Path,
    typer.Argument(metavar="RECIPE", callback=_found, help="A recipe file, or the name of one that is shipped."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the recipe, as stages.base.steps=1000."),
]
Device = Annotated[str, typer.Option(help="cpu, cuda, mps or auto.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
