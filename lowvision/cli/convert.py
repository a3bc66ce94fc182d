"""`lowvision convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def convert(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="External weights file (.pth, .pt or .safetensors); with --reduce also lowvision's own.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="Weights file to write.")],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Format of FILE (`lowvision ls formats`), e.g. 'classsr: {scale: 2}'. Default: detected.",
        ),
    ] = None,
    reduce: Annotated[
        str | None,
        typer.Option("--reduce", help="Replace networks by cheaper equivalent ones, e.g. '{reparam: fused}'."),
    ] = None,
) -> None:
    """Convert an external weights file to lowvision's format, or reduce networks without changing their output."""
    from lowvision.commands import convert
    from lowvision.errors import UsageError
    from lowvision.plugins import registry

    components = registry.load()
    if reduce is not None:
        if form is not None:
            raise UsageError("--reduce: cannot be combined with --format; convert the file first, then reduce it")
        typer.echo(convert.reduce(file, output, components, convert.parse_reduction(reduce, components)))
        return
    source_format = None if form is None else convert.parse_format(form, components)
    typer.echo(convert.convert(file, output, components, source_format))
