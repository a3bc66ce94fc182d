"""The words that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def _found(word: Path) -> Path:
    """The recipe that the word means."""
    from lowvision.plugins import registry
    from lowvision.recipe import shipped

    return shipped.find(word, registry.load())


RecipeFile = Annotated[
    Path,
    typer.Argument(metavar="RECIPE", callback=_found, help="A recipe file, or the name of one that is shipped."),
]


def carried(word: Path | None) -> Path | None:
    """The weights file that the word means; where there is none, none."""
    from lowvision.models import pretrained
    from lowvision.plugins import registry

    return word and pretrained.find(word, registry.load())


WeightsFile = Annotated[
    Path,
    typer.Argument(metavar="WEIGHTS", callback=carried, help="A weights file, or the name of one that is carried."),
]
GivenWeights = Annotated[
    Path | None,
    typer.Option(
        "-m",
        "--weights",
        metavar="WEIGHTS",
        callback=carried,
        help="A weights file, an exported package, or a name: see `lowvision ls weights`.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the recipe, as stages.base.steps=1000."),
]
Device = Annotated[str, typer.Option(help="cpu, cuda, mps or auto.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
