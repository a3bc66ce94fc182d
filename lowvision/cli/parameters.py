"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RecipeFile = Annotated[
    Path,
    typer.Argument(metavar="RECIPE", help="Recipe file, or name of a shipped recipe (`lowvision ls recipes`)."),
]
WeightsFile = Annotated[
    Path,
    typer.Argument(metavar="WEIGHTS", help="Weights file, or name of shipped weights (`lowvision ls weights`)."),
]
WeightsOption = Annotated[
    Path | None,
    typer.Option(
        "-m",
        "--weights",
        metavar="WEIGHTS",
        help="Weights file, exported package, or name of shipped weights (`lowvision ls weights`). "
        "Default: the default shipped weights.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Recipe overrides, e.g. stages.base.steps=1000."),
]
Device = Annotated[str, typer.Option(help="Device: cpu, cuda, cuda:N, mps, xpu, or auto (the fastest).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
