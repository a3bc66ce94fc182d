"""Draws a report as plain text, for a terminal of 120 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from lowvision.report import table
from lowvision.report.table import Document

WIDTH = 116
LONGEST_NAME = 40
PER_IMAGE = ("input", "base_tiled", "routed")
"""The ways that the line of an image tells of; a table of all ways and images would be too wide."""


def text(document: Document) -> str:
    """A table a set, a line an image, and what the words mean."""
    parts = [_set(image_set) for image_set in document["sets"]]
    return "\n\n".join([f"lowvision report: {table.title(document)}", *parts, _legend(document)]) + "\n"


def image_rows(image_set: Mapping[str, Any]) -> list[list[str]]:
    """A heading and a line an image: name, size, PSNR of the chief ways and the shares of branches."""
    mean = image_set["mean"]
    metric = table.main_metric(mean) or ""
    shown = [way for way in PER_IMAGE if way in mean]
    routed = any("shares" in image.get("routed", {}) for image in image_set["images"])
    heading = ["image", "pixels", *map(table.label, shown), *(["% of tiles"] if routed else [])]
    lines = [heading]
    for image in image_set["images"]:
        quality = [table.number(image.get(way, {}).get(metric), ".2f") for way in shown]
        split = [table.shares(image.get("routed", {}))] if routed else []
        lines.append([str(image["name"]), f"{image['width']} x {image['height']}", *quality, *split])
    return lines


def _set(image_set: Mapping[str, Any]) -> str:
    mean = image_set["mean"]
    columns = table.columns(mean)
    drawn = [[column.heading[line] for column in columns] for line in (0, 1)]
    drawn += [list(cells) for cells in zip(*(column.cells for column in columns), strict=True)]
    means = [[name, *cells] for name, cells in zip(["", "", *map(table.label, mean)], drawn, strict=True)]
    lines = [[_shortened(line[0]), *line[1:]] for line in image_rows(image_set)]
    images = f"{len(image_set['images'])} image{'s' if len(image_set['images']) != 1 else ''}"
    verdict = table.verdict(mean)
    return "\n".join(
        [
            f"{image_set['name']} ({images})",
            *([_wrapped(verdict)] if verdict else []),
            "",
            *aligned(means, heading=2),
            "",
            *aligned(lines, heading=1),
        ]
    )


def aligned(lines: Sequence[Sequence[str]], heading: int) -> list[str]:
    """Lines of cells in columns, the first flush left, the others flush right, a rule below the heading."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    drawn = [
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]).rstrip()
        for line in lines
    ]
    return [*drawn[:heading], "─" * (sum(widths) + 2 * (len(widths) - 1)), *drawn[heading:]]


def _legend(document: Document) -> str:
    told = table.explanations(document)
    width = max((len(name) for name in told), default=0) + 2
    rows = [_wrapped(f"{name.ljust(width)}{meaning}", hanging=width) for name, meaning in told.items()]
    return "\n".join([*rows, "", _wrapped(table.protocol(document))])


def _wrapped(line: str, hanging: int = 0) -> str:
    return textwrap.fill(line, WIDTH, subsequent_indent=" " * hanging)


def _shortened(name: str) -> str:
    """A name that fits; its end tells more than its beginning."""
    return name if len(name) <= LONGEST_NAME else "…" + name[1 - LONGEST_NAME :]
