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
    scale: Annotated[
        int | None,
        typer.Option(min=1, help="Scale to convert, if FILE holds several or does not determine it, e.g. 2."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="Task of the network, if FILE does not determine it, e.g. '{denoise: {sigma: 25}}'."),
    ] = None,
    reduce: Annotated[
        str | None,
        typer.Option("--reduce", help="Replace networks by cheaper equivalent ones, e.g. '{reparam: fused}'."),
    ] = None,
) -> None:
    """Convert an external weights file to lowvision's format, or reduce networks without changing their output."""
    from lowvision.commands import convert, tasks
    from lowvision.errors import UsageError
    from lowvision.plugins import registry

    components = registry.load()
    if reduce is not None:
        others = {"--format": form, "--scale": scale, "--task": task}
        for option in (name for name, value in others.items() if value is not None):
            raise UsageError(f"--reduce: cannot be combined with {option}; convert the file first, then reduce it")
        typer.echo(convert.reduce(file, output, components, convert.parse_reduction(reduce, components)))
        return
    source_format = None if form is None else convert.parse_format(form, components)
    other_task = None if task is None else tasks.parse_task(task, components)
    typer.echo(convert.convert(file, output, components, source_format, scale, other_task))
