"""`lowvision export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lowvision.cli.parameters import WeightsFile


def export(
    weights: WeightsFile,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Folder to create; it must not exist yet.")
    ],
    format: Annotated[
        Literal["onnx", "ncnn"],
        typer.Option("--format", help="Format of the graphs; ncnn has layers for most convolutional networks."),
    ] = "onnx",
) -> None:
    """Export every network of a weights file as a graph of ONNX or ncnn, with a manifest."""
    from lowvision.inference import package
    from lowvision.models import pretrained
    from lowvision.plugins import registry

    components = registry.load()
    package.write(pretrained.find(weights, components), output, components, format)
    typer.echo(f"{output}: {', '.join(sorted(path.name for path in output.iterdir()))}")
