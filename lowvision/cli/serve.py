"""`lowvision serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from lowvision.cli.parameters import Device, WeightsOption
from lowvision.cli.restore_parameters import PrecisionChoice, RuntimeChoice, Threads


def serve(
    weights: WeightsOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for every network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for a free one.")] = 8000,
    max_upload_megabytes: Annotated[float, typer.Option(min=0, help="Largest upload.")] = 32,
    max_megapixels: Annotated[float, typer.Option(min=0, help="Largest image, all frames together.")] = 25,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that a request may take.")] = 120,
    workers: Annotated[int, typer.Option(min=1, help="Images at a time; one already uses all cores.")] = 1,
    queue: Annotated[int, typer.Option(min=0, help="Requests that may wait; more get status 429.")] = 8,
    threads: Threads = None,
    runtime: RuntimeChoice = "auto",
    precision: PrecisionChoice = "f32",
    device: Device = "auto",
) -> None:
    """Restore images over HTTP: POST an image to /restore, get the result."""
    from lowvision.commands import serve
    from lowvision.commands.service.limits import Limits
    from lowvision.config import yaml_reader
    from lowvision.models import pretrained
    from lowvision.plugins import registry

    if threads:
        import torch

        torch.set_num_threads(threads)
    components = registry.load()
    limits = Limits(
        upload_bytes=int(max_upload_megabytes * 2**20),
        pixels=max_megapixels * 1e6,
        seconds=timeout,
        workers=workers,
        waiting=queue,
    )
    serve.run(
        pretrained.find(weights, components) if weights else pretrained.default(components),
        components,
        limits,
        host=host,
        port=port,
        device=device,
        runtime=yaml_reader.parse(runtime, "--runtime").value,
        precision=precision,
    )
