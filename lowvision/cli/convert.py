"""`lowvision convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def convert(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Weights, of another program or with --reduce any: .pth, .pt, .safetensors."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="The weights file to be written.")],
    form: Annotated[
        str | None,
        typer.Option("--format", help="What it is in, as `lowvision ls formats` names it, or 'classsr: {scale: 2}'."),
    ] = None,
    reduce: Annotated[
        str | None,
        typer.Option("--reduce", help="Reduce networks to what computes the same for less, as '{reparam: fused}'."),
    ] = None,
) -> None:
    """Write another program's weights as a weights file of lowvision's own; or any, reduced."""
    from lowvision.commands import convert
    from lowvision.errors import UsageError
    from lowvision.plugins import registry

    known = registry.load()
    if reduce is not None:
        if form is not None:
            raise UsageError("--reduce: stands beside --format; convert the file first, then reduce what is written")
        typer.echo(convert.reduce(file, output, known, convert.reduction_named(reduce, known)))
        return
    wanted = None if form is None else convert.format_named(form, known)
    typer.echo(convert.convert(file, output, known, wanted))
