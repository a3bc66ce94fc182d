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


class FrameChoice(StrEnum):
    """Values of `--frames`."""

    all = "all"
    first = "first"


class AlphaChoice(StrEnum):
    """Values of `--alpha`."""

    bicubic = "bicubic"
    restore = "restore"


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
        typer.Argument(
            metavar="INPUT...", help="Image files, folders (searched recursively), quoted patterns, or - for stdin."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="OUT", help="Output folder; for one input also an output file, or - for stdout."
        ),
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
    worst: Annotated[
        float | None,
        typer.Option(
            metavar="DB",
            help="Maximum loss in dB of all tiles but one percent, e.g. 1, in addition to the loss of the whole. "
            "Default: no limit.",
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
    scale: Annotated[
        float | None, typer.Option(help="Size of the result relative to the input; default: that of the weights.")
    ] = None,
    width: Annotated[int | None, typer.Option(help="Width of the result; with --height the largest width.")] = None,
    height: Annotated[int | None, typer.Option(help="Height of the result; with --width the largest height.")] = None,
    megapixels: Annotated[float | None, typer.Option(help="Size of the result in megapixels.")] = None,
    passes: Annotated[int, typer.Option(min=1, help="Number of times that the network is applied.")] = 1,
    name_suffix: Annotated[
        str, typer.Option("--suffix", metavar="TEXT", help="Text before the ending of each result, e.g. _x4.")
    ] = "",
    frames: Annotated[
        FrameChoice, typer.Option(help="Frames of animations and pages of documents to restore.")
    ] = FrameChoice.all,
    alpha: Annotated[
        AlphaChoice, typer.Option(help="Resample alpha bicubically, or restore it by the network as a grey image.")
    ] = AlphaChoice.bicubic,
    background: Annotated[
        str, typer.Option(metavar="COLOUR", help="Colour behind transparent pixels in JPEG, e.g. white or #ff8800.")
    ] = "white",
    strip_metadata: Annotated[
        bool, typer.Option("--strip-metadata", help="Do not copy EXIF, ICC and other metadata.")
    ] = False,
    keep_times: Annotated[
        bool, typer.Option("--keep-times", help="Give results the modification times of their inputs.")
    ] = False,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", help="Skip inputs whose result exists.")] = False,
    max_megapixels: Annotated[
        float, typer.Option(min=0, help="Refuse inputs with more megapixels, before they are decoded.")
    ] = 250,
    threads: Annotated[int | None, typer.Option(min=1, help="Number of CPU threads. Default: all cores.")] = None,
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
    from lowvision.commands import restore, standard_streams
    from lowvision.config import yaml_reader
    from lowvision.errors import UsageError
    from lowvision.imaging import colours
    from lowvision.imaging.target_size import TargetSize
    from lowvision.models import pretrained
    from lowvision.plugins import registry

    if threads:
        import torch

        torch.set_num_threads(threads)
    options = restore.RestoreOptions(
        budget=budget,
        max_loss=max_loss,
        worst=worst,
        speed=speed.value if speed else None,
        quality=quality,
        strips_metadata=strip_metadata,
        keeps_times=keep_times,
        draws_maps=maps,
        skips_existing=skip_existing,
        largest=max_megapixels * 1e6,
        only_first_frame=frames == FrameChoice.first,
        restores_alpha=alpha == AlphaChoice.restore,
        background=colours.parse(background),
        size=TargetSize(scale=scale, width=width, height=height, megapixels=megapixels),
        passes=passes,
    )
    components = registry.load()
    with standard_streams.as_files(inputs, output, form and f".{form}") as streams:
        request = restore.RestoreRequest(
            patterns=streams.inputs,
            output=streams.output,
            suffix=None if streams.writes else form and f".{form}",
            name_suffix=name_suffix,
            weights=pretrained.find(weights, components) if weights else pretrained.default(components),
            options=options,
            device=device,
            runtime=yaml_reader.parse(runtime, "--runtime").value,
            precision=precision.value,
        )
        if processes > 1:
            if streams.inputs != tuple(inputs) or streams.writes:
                raise UsageError("-: standard input and output need one process; omit --processes")
            restore.validate(request, components)  # one message instead of one per process
            raise typer.Exit(run_in_processes(processes, device))
        document = restore.run(request, components)
        streams.copy_result()
    if document is not None:
        print_document(document, as_json, restore.text, to_stderr=streams.writes)
        raise typer.Exit(1 if document["failed"] else 0)
