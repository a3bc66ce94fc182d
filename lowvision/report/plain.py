"""Format a report as plain text, for a terminal of 120 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from lowvision.report import table
from lowvision.report.table import Document
from lowvision.system.text_table import aligned

WIDTH = 116
MAX_NAME_LENGTH = 40
PER_IMAGE = ("input", "base_tiled", "routed")
"""Methods in the table of images; all methods would make it too wide."""


def text(document: Document) -> str:
    """Format the tables of methods and of images per set, and the explanations."""
    parts = [_set(image_set, document.get("metrics", {})) for image_set in document["sets"]]
    return (
        "\n\n".join([_wrapped(f"lowvision report: {table.title(document)}", hanging=2), *parts, _legend(document)])
        + "\n"
    )


def image_rows(image_set: Mapping[str, Any]) -> list[list[str]]:
    """Return a heading and a row per image: name, size, PSNR of the main methods and the shares of branches."""
    mean = image_set["mean"]
    metric = table.main_metric(mean) or ""
    methods = [method for method in PER_IMAGE if method in mean]
    routed = any("shares" in image.get("routed", {}) for image in image_set["images"])
    heading = ["image", "pixels", *map(table.label, methods), *(["% of tiles"] if routed else [])]
    lines = [heading]
    for image in image_set["images"]:
        quality = [table.number(image.get(method, {}).get(metric), ".2f") for method in methods]
        split = [table.shares(image.get("routed", {}))] if routed else []
        lines.append([str(image["name"]), f"{image['width']} x {image['height']}", *quality, *split])
    return lines


def _set(image_set: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    mean = image_set["mean"]
    columns = table.columns(mean, metrics)
    cells = [[column.heading[line] for column in columns] for line in (0, 1)]
    cells += [list(row) for row in zip(*(column.cells for column in columns), strict=True)]
    means = [[name, *row] for name, row in zip(["", "", *map(table.label, mean)], cells, strict=True)]
    lines = [[_shortened(line[0]), *line[1:]] for line in image_rows(image_set)]
    images = f"{len(image_set['images'])} image{'s' if len(image_set['images']) != 1 else ''}"
    verdict = " ".join(filter(None, [table.verdict(mean), *table.excesses(image_set)]))
    return "\n".join(
        [
            f"{image_set['name']} ({images})",
            *([_wrapped(verdict)] if verdict else []),
            "",
            *aligned(means, numeric=True, heading=2),
            "",
            *aligned(lines, numeric=True, heading=1),
        ]
    )


def _legend(document: Document) -> str:
    explanations = table.explanations(document)
    width = max((len(name) for name in explanations), default=0) + 2
    rows = [_wrapped(f"{name.ljust(width)}{meaning}", hanging=width) for name, meaning in explanations.items()]
    return "\n".join([*rows, "", _wrapped(table.protocol(document))])


def _wrapped(line: str, hanging: int = 0) -> str:
    return textwrap.fill(line, WIDTH, subsequent_indent=" " * hanging)


def _shortened(name: str) -> str:
    """Shorten a long name at its beginning, which distinguishes images less than its end."""
    return name if len(name) <= MAX_NAME_LENGTH else "…" + name[1 - MAX_NAME_LENGTH :]
