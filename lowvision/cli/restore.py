"""`lowvision restore`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lowvision.cli.output import print_document
from lowvision.cli.parameters import AsJson, Device, WeightsOption
from lowvision.cli.processes import run_in_processes


class Format(StrEnum):
    """Values of `--format`."""

    png = "png"
    jpg = "jpg"
    tif = "tif"
    webp = "webp"
    bmp = "bmp"


class Precision(StrEnum):
    """Values of `--precision`."""

    f32 = "f32"
    bf16 = "bf16"
    f16 = "f16"


class Speed(StrEnum):
    """Values of `--speed`."""

    fast = "fast"
    balanced = "balanced"
    best = "best"


def restore(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Image files, folders (searched recursively), or quoted patterns."),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT", help="Output folder; for one input also an output file.")
    ] = Path("restored"),
    weights: WeightsOption = None,
    speed: Annotated[
        Speed | None,
        typer.Option(
            help="fast loses at most 0.3 dB of PSNR, balanced 0.05 dB, best none, by the curve of calibrated weights. "
            "Default: balanced if the weights have a curve, otherwise the classifier's choice."
        ),
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="Maximum cost, as a share of the base's cost, e.g. 0.6. Default: no limit.")
    ] = None,
    max_loss: Annotated[
        float | None,
        typer.Option(
            metavar="DB",
            help="Maximum loss of PSNR in dB, e.g. 0.05, by the curve of calibrated weights. Default: no limit.",
        ),
    ] = None,
    maps: Annotated[
        bool, typer.Option("--map", help="Also write NAME.map.png, which shows the branch per tile.")
    ] = False,
    form: Annotated[
        Format | None, typer.Option("--format", help="File format of the results. Default: that of each input.")
    ] = None,
    quality: Annotated[
        int, typer.Option(min=1, max=100, help="Quality of JPEG and WebP; WebP is lossless at 100.")
    ] = 95,
    strip_metadata: Annotated[bool, typer.Option("--strip-metadata", help="Do not copy EXIF and ICC.")] = False,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", help="Skip inputs whose result exists.")] = False,
    max_megapixels: Annotated[
        float, typer.Option(min=0, help="Refuse inputs with more megapixels, before they are decoded.")
    ] = 250,
    processes: Annotated[int, typer.Option(min=1, help="Number of processes that share the inputs.")] = 1,
    runtime: Annotated[
        str,
        typer.Option(
            help="Runtime of the networks (`lowvision ls runtimes`), also with options, e.g. '{torch: {batch: 64}}'; "
            "auto measures the fastest one once."
        ),
    ] = "auto",
    precision: Annotated[
        Precision,
        typer.Option(
            help="bf16 is faster on CPUs and GPUs with bfloat16 instructions, f16 on GPUs; pixels differ slightly."
        ),
    ] = Precision.f32,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Restore images with a weights file; a failed image does not stop the others. Exit code 1 if any failed."""
    from lowvision.commands import restore
    from lowvision.config import yaml_reader
    from lowvision.models import pretrained
    from lowvision.plugins import registry

    components = registry.load()
    request = restore.RestoreRequest(
        patterns=tuple(inputs),
        output=output,
        suffix=form and f".{form}",
        weights=pretrained.find(weights, components) if weights else pretrained.default(components),
        options=restore.RestoreOptions(
            budget=budget,
            max_loss=max_loss,
            speed=speed.value if speed else None,
            quality=quality,
            strips_metadata=strip_metadata,
            draws_maps=maps,
            skips_existing=skip_existing,
            largest=max_megapixels * 1e6,
        ),
        device=device,
        runtime=yaml_reader.parse(runtime, "--runtime").value,
        precision=precision.value,
    )
    if processes > 1:
        restore.validate(request, components)  # one message instead of one per process
        raise typer.Exit(run_in_processes(processes, device))
    document = restore.run(request, components)
    if document is not None:
        print_document(document, as_json, restore.text)
        raise typer.Exit(1 if document["failed"] else 0)
