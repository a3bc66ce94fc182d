"""`lowvision bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lowvision.cli.output import print_document
from lowvision.cli.parameters import AsJson


def bench(
    weights: Annotated[
        Path,
        typer.Argument(
            metavar="WEIGHTS",
            help="Weights file, exported package, name of shipped weights, or recipe (its untrained networks).",
        ),
    ],
    size: Annotated[
        list[str] | None, typer.Option(metavar="WxH", help="Input size in pixels; repeatable. Default: 960x540.")
    ] = None,
    shares: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Fixed share of tiles per branch, cheapest first, e.g. 61,23,16. Default: the classifier routes.",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Number of timed runs per row.")] = 3,
    rows: Annotated[
        str | None,
        typer.Option(
            metavar="ROW,...", help="Rows to measure, e.g. base_whole,routed:openvino. Default: all useful rows."
        ),
    ] = None,
    image: Annotated[
        Path | None, typer.Option(metavar="PHOTO", help="Photograph to restore. Default: a sample photograph.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, xpu or mps.")] = "cpu",
    as_json: AsJson = False,
) -> None:
    """Time every restore method on this machine, each in its own process, in alternation."""
    from lowvision.bench import measure, table
    from lowvision.bench import rows as bench_rows
    from lowvision.models import pretrained
    from lowvision.plugins import registry
    from lowvision.system import devices

    components, device = registry.load(), devices.resolve(device)
    request = measure.BenchRequest(
        subject=pretrained.find(weights, components),
        sizes=tuple(measure.parse_size(text) for text in dict.fromkeys(size or ["960x540"])),
        rows=bench_rows.usual(components, device)
        if rows is None
        else bench_rows.parse(rows.split(","), components, device),
        rounds=rounds,
        shares=shares,
        photo=image,
        device=device,
    )
    document = measure.measure(request, components)
    print_document(document, as_json, table.text)
