"""Render a measurement of fidelity as one self-contained HTML page, with a divider on every photograph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from lowvision.report.page import MAX_COMPARED, render
from lowvision.report.pictures import whole_url


@dataclass(frozen=True)
class Picture:
    """A photograph in three ways, each (C,H,W) and of the same size."""

    name: str
    input: Tensor
    """The input, enlarged to the size of the result."""
    teacher: Tensor
    routed: Tensor


def html(
    rows: Sequence[Sequence[str]],
    highlighted: int,
    notes: Sequence[str],
    pictures: Sequence[Picture],
    worst: Tensor | None,
) -> str:
    """Return the page. rows: heading and rows of the table; highlighted: number of a row below the heading.

    worst: the picture of the worst tiles; None: none was drawn. At most `MAX_COMPARED` pictures are shown.
    """
    heading, *body = rows
    return render(
        "fidelity.html.jinja",
        heading=[[cell] for cell in heading],
        rows=[
            {"highlighted": n == highlighted, "cells": [{"text": cell, "bar": []} for cell in row]}
            for n, row in enumerate(body)
        ],
        notes=notes,
        pictures=[
            {
                "name": picture.name,
                "input": whole_url(picture.input),
                "teacher": whole_url(picture.teacher),
                "routed": whole_url(picture.routed),
            }
            for picture in pictures[:MAX_COMPARED]
        ],
        worst=None if worst is None else whole_url(worst),
    )
