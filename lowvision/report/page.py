"""Render a report as one self-contained HTML page: no network, all pictures embedded."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from lowvision.imaging.palette import colours, hexadecimal
from lowvision.report import curves, table
from lowvision.report.pictures import shown
from lowvision.report.plain import image_rows
from lowvision.report.table import Document, Row

ImageSet = Mapping[str, Any]
Cell = dict[str, Any]
"""Text of a table cell, and optionally a `bar` of coloured parts."""
MAX_COMPARED = 12
"""Images of a set that get a divider between input and result; two pictures each make the page larger."""
MAX_OPEN = 12
"""Longest list of images that is shown unfolded."""


def html(document: Document, metrics: Sequence[Mapping[str, Any]], pictures: Path | None) -> str:
    """Return the page. metrics: lines of metrics.jsonl; pictures: folder of `<set>/<image>/<method>.png`, if any."""
    galleries = [_gallery(image_set, pictures / image_set["name"]) for image_set in document["sets"] if pictures]
    return render(
        "page.html.jinja",
        title=table.title(document),
        sets=[_set(image_set, document.get("metrics", {})) for image_set in document["sets"]],
        explanations=table.explanations(document),
        protocol=table.protocol(document),
        stages=list(curves.stages(metrics)),  # SVG in which every name is escaped
        galleries=[gallery for gallery in galleries if gallery["images"]],
    )


def render(template: str, **values: Any) -> str:
    """Fill a template of this package; `style` and `script` are ours, so they are not escaped."""
    style, script = _resource("page.css"), _resource("page.js")
    return _environment().get_template(template).render(style=style, script=script, **values)


@functools.cache
def _environment() -> Environment:
    loader = FunctionLoader(_resource)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)


def _resource(name: str) -> str:
    return files("lowvision.report").joinpath(name).read_text(encoding="utf-8")


def _set(image_set: ImageSet, metrics: Mapping[str, Any]) -> dict[str, Any]:
    heading, *rows = image_rows(image_set)
    return {
        "name": image_set["name"],
        "count": len(image_set["images"]),
        "verdict": " ".join(filter(None, [table.verdict(image_set["mean"]), *table.excesses(image_set)])),
        "means": _means(image_set["mean"], metrics),
        "images": {
            "heading": [[cell] for cell in heading],
            "rows": [{"highlighted": False, "cells": [_cell(cell) for cell in row]} for row in rows],
        },
        "is_open": len(rows) <= MAX_OPEN,
    }


def _means(mean: Mapping[str, Row], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return heading and rows of the table of methods."""
    columns = table.columns(mean, metrics)
    rows = []
    for n, (method, row) in enumerate(mean.items()):
        cells = [_cell(column.cells[n], row if column.name == "shares" else None) for column in columns]
        rows.append({"highlighted": method == "routed", "cells": [_cell(table.label(method)), *cells]})
    return {"heading": [[], *(column.heading for column in columns)], "rows": rows}


def _cell(text: str, shares_of: Row | None = None) -> Cell:
    """Return a cell; with `shares_of` it has a bar that is divided like the tiles."""
    values = (shares_of or {}).get("shares") or ()
    shares = [share if table.is_number(share) else 0.0 for share in values]
    tints = map(hexadecimal, colours(len(shares)))
    bar = [{"width": f"{100 * share:.2f}", "colour": tint} for share, tint in zip(shares, tints, strict=True)]
    return {"text": text, "bar": bar}


def _gallery(image_set: ImageSet, folder: Path) -> dict[str, Any]:
    return {"name": image_set["name"], "images": list(_pictures(image_set, folder))}


def _pictures(image_set: ImageSet, folder: Path) -> Iterator[dict[str, Any]]:
    """Return route map and crops of each image that has any."""
    metric = table.main_metric(image_set["mean"]) or ""
    for n, image in enumerate(image_set["images"]):
        measured = table.ways(image)
        pictures = shown(folder / image["name"], measured, has_whole=n < MAX_COMPARED)
        crops = [
            {
                "label": table.label(method),
                "source": source,
                "caption": _caption(method, measured.get(method, {}).get(metric)),
            }
            for method, source in pictures.pieces.items()
        ]
        if pictures.map or crops:
            compared = {"before": pictures.before, "after": pictures.after}
            yield {"name": str(image["name"]), "map": pictures.map, "crops": crops, **compared}


def _caption(method: str, psnr: Any) -> str:
    name = "ground truth" if method == "gt" else table.label(method)
    return f"{name}, {psnr:.2f} dB" if table.is_number(psnr) else name
