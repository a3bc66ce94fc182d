"""`lowvision restore`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lowvision.cli.answers import answer
from lowvision.cli.launching import launched
from lowvision.cli.words import AsJson, Device, GivenWeights


class Format(StrEnum):
    """What `--format` knows."""

    png = "png"
    jpg = "jpg"
    tif = "tif"
    webp = "webp"
    bmp = "bmp"


class Precision(StrEnum):
    """What `--precision` knows."""

    f32 = "f32"
    bf16 = "bf16"


def restore(
    words: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Image files, folders (with all below), quoted patterns.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT", help="A folder for the results; for one file, its result.")
    ] = Path("restored"),
    weights: GivenWeights = None,
    budget: Annotated[float | None, typer.Option(help="The share of the base's cost to spend, as 0.6.")] = None,
    max_loss: Annotated[
        float | None,
        typer.Option(metavar="DB", help="The PSNR to lose at most, as 0.05: by the curve in calibrated weights."),
    ] = None,
    maps: Annotated[
        bool, typer.Option("--map", help="Also write which branch restored what, as NAME.map.png.")
    ] = False,
    form: Annotated[Format | None, typer.Option("--format", help="Of the results; else each keeps its own.")] = None,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG and WebP; WebP is lossless at 100.")] = 95,
    strip_metadata: Annotated[bool, typer.Option("--strip-metadata", help="Leave EXIF and ICC out.")] = False,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", help="Leave alone what has a result.")] = False,
    max_megapixels: Annotated[float, typer.Option(min=0, help="Refuse larger inputs before decoding them.")] = 250,
    processes: Annotated[int, typer.Option(min=1, help="How many processes share the files.")] = 1,
    runtime: Annotated[
        str, typer.Option("--runtime", "--engine", help="What runs the networks; auto measures which is fastest, once.")
    ] = "auto",
    precision: Annotated[
        Precision,
        typer.Option(help="bf16 is faster where there are instructions for it; values differ slightly."),
    ] = Precision.f32,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Restore images with a weights file; goes on after a bad one. Exits with 1 where some failed."""
    from lowvision.commands import inputs, restore
    from lowvision.inference import package, trained_networks
    from lowvision.models import pretrained
    from lowvision.plugins import registry
    from lowvision.system.processes import join

    known = registry.load()
    weights = weights or pretrained.default(known)
    _ = package.read(weights, known) if weights.is_dir() else trained_networks.read(weights, known)
    group = join(device)
    planned = inputs.plan(words, output, form and f".{form}", maps)
    group.wait()  # no process may write before all have looked: it could change what they find
    restore.check_writable(output)
    if processes > 1:
        raise typer.Exit(launched(processes, device))
    manner = restore.RestoreOptions(
        budget, quality, strip_metadata, maps, skip_existing, max_megapixels * 1e6, max_loss
    )
    document = restore.restore(planned, weights, manner, known, group, device, runtime, precision.value)
    if group.is_main_process:
        answer(document, as_json, restore.text)
        raise typer.Exit(1 if document["failed"] else 0)
