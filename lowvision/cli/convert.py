"""`lowvision convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Another program's weights: .pth, .pt, .safetensors.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="The weights file to be written.")],
    form: Annotated[
        str | None,
        typer.Option("--format", help="What it is in, as `lowvision ls formats` names it, or 'classsr: {scale: 2}'."),
    ] = None,
) -> None:
    """Write another program's weights as a weights file of lowvision's own."""
    from lowvision import convert, registry

    known = registry.load()
    wanted = None if form is None else convert.format_named(form, known)
    typer.echo(convert.convert(file, output, known, wanted))
