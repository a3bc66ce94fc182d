"""`lowvision accelerate`."""

from __future__ import annotations

import math
from pathlib import Path

from lowvision.cli import accelerate_parameters as parameters
from lowvision.cli.output import print_document
from lowvision.cli.parameters import AsJson, Device, WeightsFile
from lowvision.cli.processes import set_threads
from lowvision.cli.restore_parameters import Threads
from lowvision.errors import UsageError


def accelerate(
    weights: WeightsFile,
    photos: parameters.Photos,
    output: parameters.Output,
    minutes: parameters.Minutes = 30,
    max_loss: parameters.MaxLoss = 0.3,
    students: parameters.Students = None,
    downscale: parameters.Downscale = 1.0,
    runtime: parameters.RuntimeName = "auto",
    threads: Threads = None,
    runs: parameters.Runs = Path("runs"),
    restart: parameters.Restart = False,
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
    set_threads(threads)
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
