"""Arguments and options of `lowvision accelerate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Photos = Annotated[
    Path,
    typer.Option(metavar="FOLDER", help="Folder of images as you would give them to the network; no ground truth."),
]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Weights file to write.")]
Minutes = Annotated[float, typer.Option(help="Planned duration in minutes; a busy machine takes longer.")]
MaxLoss = Annotated[
    float,
    typer.Option(
        metavar="DB",
        help="Loss in dB (`restore --max-loss`) at which the result must be faster; 0.3 is 41.5 dB to the network's "
        "own output.",
    ),
]
Students = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NETWORK|FILE",
        help="Small network, e.g. '{disp: {channels: 24, layers: 2}}', or trained weights of one to start from; "
        "repeatable. Default: by seconds.",
    ),
]
Downscale = Annotated[float, typer.Option(min=1, help="Factor by which photographs are shrunk first.")]
RuntimeName = Annotated[
    str, typer.Option(help="Runtime in which the report compares (`lowvision ls runtimes`); auto: the fastest.")
]
Runs = Annotated[Path, typer.Option(help="Folder for the recipe and the run.")]
Restart = Annotated[bool, typer.Option("--restart", help="Start again: repeat planning and training.")]
