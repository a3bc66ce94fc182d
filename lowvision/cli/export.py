"""`lowvision export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lowvision.cli.words import WeightsFile


def export(
    weights: WeightsFile,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="A folder that is not there yet.")],
) -> None:
    """Write every network of a weights file as an ONNX graph, and a manifest, into a folder."""
    from lowvision.inference import package
    from lowvision.plugins import registry

    package.write(weights, output, registry.load())
    typer.echo(f"{output}: {', '.join(sorted(path.name for path in output.iterdir()))}")
