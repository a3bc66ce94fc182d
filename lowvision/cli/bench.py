"""`lowvision bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lowvision.cli.answers import answer
from lowvision.cli.words import AsJson, carried


def bench(
    weights: Annotated[
        Path,
        typer.Argument(
            metavar="WEIGHTS",
            callback=carried,
            help="A weights file or its name, an exported package, or a recipe: networks untrained.",
        ),
    ],
    size: Annotated[
        list[str] | None, typer.Option(metavar="WxH", help="Of the input; several times for several. Else 960x540.")
    ] = None,
    shares: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Force these shares of tiles on the branches, as 61,23,16.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Timed runs of each row.")] = 3,
    rows: Annotated[
        str | None, typer.Option(metavar="ROW,...", help="Only these, as base_whole,routed:openvino.")
    ] = None,
    image: Annotated[Path | None, typer.Option(metavar="PHOTO", help="A photograph; else a sample.")] = None,
    as_json: AsJson = False,
) -> None:
    """Time every way to restore an image on this machine's CPU, each in a process of its own, turn by turn."""
    from lowvision.bench import measure, table
    from lowvision.bench import rows as ways
    from lowvision.plugins import registry

    known = registry.load()
    wanted = measure.Wanted(
        subject=weights,
        sizes=tuple(measure.size_of(words) for words in dict.fromkeys(size or ["960x540"])),
        rows=ways.usual(known) if rows is None else ways.named(rows.split(","), known),
        rounds=rounds,
        shares=shares,
        photo=image,
    )
    document = measure.measure(wanted, known)
    answer(document, as_json, table.text)
