"""`lowvision accelerate`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from lowvision.cli.output import print_document
from lowvision.cli.parameters import AsJson, Device, WeightsFile
from lowvision.errors import UsageError


def accelerate(
    weights: WeightsFile,
    photos: Annotated[
        Path,
        typer.Option(metavar="FOLDER", help="Folder of images as you would give them to the network; no ground truth."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Weights file to write.")],
    minutes: Annotated[float, typer.Option(help="Planned duration in minutes; a busy machine takes longer.")] = 30,
    max_loss: Annotated[
        float,
        typer.Option(
            metavar="DB",
            help="Loss in dB (`restore --max-loss`) at which the result must be faster; 0.3 is 41.5 dB to the "
            "network's own output.",
        ),
    ] = 0.3,
    students: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NETWORK|FILE",
            help="Small network, e.g. '{disp: {channels: 24, layers: 2}}', or trained weights of one to start from; "
            "repeatable. Default: by seconds.",
        ),
    ] = None,
    downscale: Annotated[float, typer.Option(min=1, help="Factor by which photographs are shrunk first.")] = 1.0,
    runtime: Annotated[
        str, typer.Option(help="Runtime in which the report compares (`lowvision ls runtimes`); auto: the fastest.")
    ] = "auto",
    runs: Annotated[Path, typer.Option(help="Folder for the recipe and the run.")] = Path("runs"),
    restart: Annotated[bool, typer.Option("--restart", help="Start again: repeat planning and training.")] = False,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Make a trained network faster: small networks imitate it, and it restores only the tiles they cannot.

    The same command resumes an interrupted run. Exit code 1 if the network cannot be made faster.
    """
    from lowvision.commands import accelerate
    from lowvision.commands.accelerate.request import AccelerateRequest
    from lowvision.models import pretrained
    from lowvision.plugins import registry

    for name, value in (("--minutes", minutes), ("--max-loss", max_loss)):
        if not 0 < value < math.inf:
            raise UsageError(f"{name} {value:g}: must be a positive number")
    components = registry.load()
    request = AccelerateRequest(
        weights=pretrained.find(weights, components),
        photos=photos,
        output=output,
        minutes=minutes,
        max_loss=max_loss,
        downscale=downscale,
        students=tuple(students or ()),
        runtime=runtime,
        runs=runs,
        restart=restart,
        device=device,
    )
    print_document(accelerate.accelerate(request, components), as_json, accelerate.text)
