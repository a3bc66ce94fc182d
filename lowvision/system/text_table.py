"""Align the cells of text tables."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], *, numeric: bool = False, heading: int = 0) -> list[str]:
    """Return rows of equally many cells as lines with aligned columns, two spaces between them.

    Cells are flush left; with `numeric` all but the first column are flush right. A rule follows the first `heading`
    rows if there are any.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if numeric and n else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    rule = ["─" * (sum(widths) + 2 * (len(widths) - 1))] if heading else []
    return [*lines[:heading], *rule, *lines[heading:]]
