"""`lowvision card`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lowvision.cli.parameters import WeightsFile


def card(
    weights: WeightsFile,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder with a report.json about these weights, to state its figures."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="File to write. Default: standard output.")
    ] = None,
) -> None:
    """Write the model card of a weights file: task, networks, cost, measurements, licence, plugins."""
    from lowvision.commands.card import card
    from lowvision.errors import UsageError
    from lowvision.models import pretrained
    from lowvision.plugins import registry
    from lowvision.report import read
    from lowvision.system.atomic import whole

    components = registry.load()
    document = None if report is None else read(report)
    if report is not None and document is None:
        raise UsageError(f"{report}: holds no report.json that can be read; give the folder of a run or an evaluation")
    text = card(pretrained.find(weights, components), components, document)
    if output is None:
        typer.echo(text)
        return
    try:
        with whole(output) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{output}: cannot be written: {error.strerror}; give another -o") from None
