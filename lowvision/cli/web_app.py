"""`lowvision app`."""

from __future__ import annotations

from typing import Annotated

import typer

from lowvision.cli.parameters import Device, WeightsOption
from lowvision.cli.restore_parameters import PrecisionChoice, RuntimeChoice


def app(
    weights: WeightsOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for every network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port.")] = 7860,
    max_megapixels: Annotated[float, typer.Option(min=0, help="Largest image, all frames together.")] = 25,
    runtime: RuntimeChoice = "auto",
    precision: PrecisionChoice = "f32",
    device: Device = "auto",
) -> None:
    """Open a page on this computer to restore photographs and compare them."""
    from lowvision.commands import serve
    from lowvision.commands.service.limits import Limits
    from lowvision.config import yaml_reader
    from lowvision.models import pretrained
    from lowvision.plugins import registry

    components = registry.load()
    serve.run(
        pretrained.find(weights, components) if weights else pretrained.default(components),
        components,
        Limits(upload_bytes=256 * 2**20, pixels=max_megapixels * 1e6, seconds=3600),
        host=host,
        port=port,
        device=device,
        runtime=yaml_reader.parse(runtime, "--runtime").value,
        precision=precision,
        has_page=True,
    )
