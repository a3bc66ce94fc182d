"""`lowvision restore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from lowvision.cli import restore_parameters as parameters
from lowvision.cli.output import print_document
from lowvision.cli.parameters import AsJson, Device, WeightsOption
from lowvision.cli.processes import run_in_processes, set_threads

if TYPE_CHECKING:
    from lowvision.commands.clip_request import ClipOptions
    from lowvision.commands.restore_request import RestoreRequest
    from lowvision.plugins.registry import Registry


def restore(
    inputs: parameters.Inputs,
    output: parameters.Output = "restored",
    weights: WeightsOption = None,
    speed: parameters.SpeedChoice = None,
    budget: parameters.Budget = None,
    max_loss: parameters.MaxLoss = None,
    worst: parameters.Worst = None,
    maps: parameters.Maps = False,
    form: parameters.FileFormat = None,
    quality: parameters.Quality = 95,
    scale: parameters.Scale = None,
    width: parameters.Width = None,
    height: parameters.Height = None,
    megapixels: parameters.Megapixels = None,
    passes: parameters.Passes = 1,
    name_suffix: parameters.NameSuffix = "",
    frames: parameters.FrameChoice = "all",
    alpha: parameters.AlphaChoice = "bicubic",
    background: parameters.Background = "white",
    strip_metadata: parameters.StripMetadata = False,
    keep_times: parameters.KeepTimes = False,
    still: parameters.Still = "exact",
    codec: parameters.ClipCodec = None,
    crf: parameters.Crf = None,
    preset: parameters.Preset = None,
    fps: parameters.FramesPerSecond = None,
    skip_existing: parameters.SkipExisting = False,
    max_megapixels: parameters.MaxMegapixels = 250,
    threads: parameters.Threads = None,
    processes: parameters.Processes = None,
    cluster: parameters.Cluster = None,
    runtime: parameters.RuntimeChoice = "auto",
    precision: parameters.PrecisionChoice = "f32",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Restore images or clips with a weights file; a failed one does not stop the others. Exit code 1 if any failed."""
    from lowvision.commands import clip_request
    from lowvision.commands.restore_request import RestoreOptions, RestoreRequest
    from lowvision.config import yaml_reader
    from lowvision.imaging import colours
    from lowvision.imaging.target_size import TargetSize
    from lowvision.models import pretrained
    from lowvision.plugins import registry
    from lowvision.system import locations

    components = registry.load()
    has_clips = clip_request.selects_clips(inputs)
    span = clip_request.frames_of_clips(frames, has_clips)
    options = RestoreOptions(
        budget=budget,
        max_loss=max_loss,
        worst=worst,
        speed=speed,
        quality=quality,
        strips_metadata=strip_metadata,
        keeps_times=keep_times,
        draws_maps=maps,
        skips_existing=skip_existing,
        largest=max_megapixels * 1e6,
        only_first_frame=frames == "first",
        restores_alpha=alpha == "restore",
        background=colours.parse(background),
        size=TargetSize(scale=scale, width=width, height=height, megapixels=megapixels),
        passes=passes,
    )
    request = RestoreRequest(
        patterns=tuple(inputs),
        output=Path(output),
        remote_output=output if locations.is_remote(output) else None,
        suffix=form and f".{form}",
        name_suffix=name_suffix,
        weights=pretrained.find(weights, components) if weights else pretrained.default(components),
        options=options,
        device=device,
        runtime=yaml_reader.parse(runtime, "--runtime").value,
        precision=precision,
    )
    if cluster:
        _run_on_cluster(request, components, cluster, processes, threads, has_clips, as_json)
    set_threads(threads)
    if has_clips:
        clips = clip_request.ClipOptions(span=span, still=still, codec=codec, crf=crf, preset=preset, rate=fps)
        _run_clips(request, clips, components, as_json)
    _run(request, components, processes or 1, as_json)


def _run_clips(request: RestoreRequest, options: ClipOptions, components: Registry, as_json: bool) -> NoReturn:
    """Restore clips and print the document."""
    from lowvision.commands import video

    document = video.run(request, options, components)
    print_document(document, as_json, video.text)
    raise typer.Exit(1 if document["failed"] else 0)


def _run_on_cluster(
    request: RestoreRequest,
    components: Registry,
    address: str,
    workers: int | None,
    threads: int | None,
    has_clips: bool,
    as_json: bool,
) -> NoReturn:
    """Restore images on a cluster and print the document."""
    from lowvision.commands import restore_cluster, restore_outcomes
    from lowvision.errors import UsageError

    if has_clips:
        raise UsageError("--cluster: a clip is restored on one machine; omit --cluster")
    if "-" in (*request.patterns, str(request.output)):
        raise UsageError("-: standard input and output need one process; omit --cluster")
    document = restore_cluster.run(request, components, address, workers, threads)
    print_document(document, as_json, restore_outcomes.text)
    raise typer.Exit(1 if document["failed"] else 0)


def _run(request: RestoreRequest, components: Registry, processes: int, as_json: bool) -> None:
    """Restore in this process or in several, with files in place of standard streams, and print the document."""
    from dataclasses import replace

    from lowvision.commands import restore, restore_outcomes, standard_streams
    from lowvision.errors import UsageError

    maps = request.options.draws_maps
    with standard_streams.as_files(request.patterns, request.output, request.suffix, maps) as streams:
        if processes > 1:
            if streams.inputs != request.patterns or streams.writes:
                raise UsageError("-: standard input and output need one process; omit --processes")
            restore.validate(request, components)  # one message instead of one per process
            raise typer.Exit(run_in_processes(processes, request.device))
        suffix = None if streams.writes else request.suffix
        files = replace(request, patterns=streams.inputs, output=streams.output, suffix=suffix, streams=streams.files)
        document = restore.run(files, components)
        streams.copy_result()
    if document is not None:
        print_document(document, as_json, restore_outcomes.text, to_stderr=streams.writes)
        raise typer.Exit(1 if document["failed"] else 0)
