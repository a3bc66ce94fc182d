"""The table of the paper before it is drawn: what rows and columns a report's document asks for, and their words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]
"""What `report.json` holds: schema, task, and sets of images, each measured in several ways."""
Row = Mapping[str, Any]
"""What was measured of one way to restore an image, by name."""

NOTHING = "-"
"""Stands where nothing was measured."""

LABELS = {"base_whole": "base (whole image)", "base_tiled": "base (tiled)", "random": "random routing"}
AT_BUDGET = "routed@"
"""How the ways at a budget begin; the budget follows."""
ADAPTED_TO = "adaptive@"
"""How the ways of a base begin that is set to spend a share; the share follows."""
HEADINGS = {
    "gmac": ("", "GMAC"),
    "share_of_base_whole": ("of base", "whole"),
    "share_of_base_tiled": ("of base", "tiled"),
    "seconds": ("", "seconds"),
}
EXPLANATIONS = {
    "base_whole": "the largest network, trained alone, on the whole image: what one would run otherwise",
    "base_tiled": "the same network on the tiles that routing uses",
    "adaptive": "the tiled base where it computes only what it finds needed itself; its cost is what it spent",
    "routed": "the classifier sends each tile to one branch",
    "oracle": "the best choice within the cost of routed, by the true errors of all branches: the bound of classifiers",
    "random": "each branch gets as many tiles as in routed, but by lot: what the classifier must beat",
}


@dataclass(frozen=True)
class Column:
    """One column of a table, written out."""

    name: str
    """What the document calls it; `gain` is ours."""
    heading: tuple[str, str]
    """Two lines."""
    cells: tuple[str, ...]
    """One a row."""


def ways(row: Mapping[str, Any]) -> dict[str, Row]:
    """The ways to restore that an image, or a mean, tells of, in its order."""
    return {name: value for name, value in row.items() if isinstance(value, Mapping)}


def columns(mean: Mapping[str, Row]) -> list[Column]:
    """The columns of a set's table, each with a cell for each way: whatever was measured, quality first."""
    rows = list(mean.values())
    names = list(dict.fromkeys(name for row in rows for name in row))
    quality = [name for name in names if "@" in name]
    rest = [name for name in HEADINGS if name in names]
    rest += [name for name in names if name not in (*quality, *rest, "shares")]
    drawn = [_measured(name, rows) for name in quality]
    if "input" in mean and (metric := main_metric(mean)):
        drawn.append(Column("gain", ("gain", "dB"), tuple(_gain(row, mean["input"], metric) for row in rows)))
    drawn += [_measured(name, rows) for name in rest]
    if "shares" in names:
        branches = max(len(row.get("shares") or ()) for row in rows)
        heading = ("% of tiles in", "branch " + _slashed([str(k) for k in range(branches)]))
        drawn.append(Column("shares", heading, tuple(shares(row) for row in rows)))
    return drawn


def main_metric(mean: Mapping[str, Row]) -> str | None:
    """The name of the PSNR that gains are told in: the first one that was measured."""
    names = (name for row in mean.values() for name in row)
    return next((name for name in names if name.startswith("psnr")), None)


def number(value: Any, form: str) -> str:
    """A number in a format, or a dash."""
    return format(value, form) if is_number(value) else NOTHING


def is_number(value: Any) -> bool:
    """Whether it is a number that can be drawn."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def shares(row: Row) -> str:
    """Percent of tiles of each branch."""
    values = row.get("shares") or ()
    return _slashed([f"{100 * share:.0f}" if is_number(share) else NOTHING for share in values]) or NOTHING


def label(way: str) -> str:
    """A way's name for people."""
    if way.startswith(AT_BUDGET):
        return f"routed, budget {float(way.removeprefix(AT_BUDGET)):.0%}"
    if way.startswith(ADAPTED_TO):
        return f"adaptive, set to {float(way.removeprefix(ADAPTED_TO)):.0%}"
    return LABELS.get(way, way.replace("_", " "))


def title(document: Document) -> str:
    """The task in a line, `sr, scale 4`."""
    return "; ".join(
        ", ".join([name, *(f"{option} {value}" for option, value in options.items())])
        for name, options in document.get("task", {}).items()
    )


def explanations(document: Document) -> dict[str, str]:
    """What each row is, by its label, for the rows that there are; branches share one entry."""
    enlarged = any(options.get("scale", 1) > 1 for options in document.get("task", {}).values())
    given = "what was given, enlarged by bicubic interpolation" if enlarged else "what was given, as it is"
    rivals = document.get("classifiers", {})
    at_cost = {name: f"{says.rstrip('.')}; within the cost of routed" for name, says in rivals.items()}
    known = {"input": given, **EXPLANATIONS, **at_cost}
    found = list(dict.fromkeys(way for image_set in document["sets"] for way in image_set["mean"]))
    told = {label(way): known[way] for way in found if way in known}
    branches = [way for way in found if way.startswith("branch_")]
    if any(way.startswith(AT_BUDGET) for way in found):
        told["budget"] = "as restoring does it: tiles merged, so many % of the base's cost on the whole image at most"
    if any(way.startswith(ADAPTED_TO) for way in found):
        told["set to"] = "adaptive, set on other photographs to spend so many % of the tiled base's cost in the mean"
    return told | ({"branch k": "every tile through this one branch; 0 is the smallest"} if branches else {})


def protocol(document: Document) -> str:
    """How the figures were measured."""
    names = dict.fromkeys(
        name for image_set in document["sets"] for row in image_set["mean"].values() for name in row if "@crop" in name
    )
    crops = ", ".join(dict.fromkeys(name.split("@crop")[1] for name in names))
    cut = "nothing cut off" if crops == "0" else f"{crops} pixels cut off at each border"
    routed = any("routed" in image_set["mean"] for image_set in document["sets"])
    asked = ", and the classifier where it was asked (routed)" if routed else ""
    return (
        f"PSNR in dB, and SSIM, of images rounded to 8 bits, {cut}; Y is the luma of BT.601. GMAC: 10^9 exact "
        f"multiply-adds an image, tile overlap included{asked}. Figures are means over images."
    )


def verdict(mean: Mapping[str, Row]) -> str:
    """What came out, in one sentence; empty where only the input was measured."""
    metric = main_metric(mean)
    way = next((way for way in ("routed", "base_whole", "base_tiled") if way in mean), None)
    if metric is None or way is None:
        return ""
    others = [other for other in ("input", "base_tiled", "random") if other in mean and other != way]
    if way != "routed":
        others = others[:1]
    told = [f"{_gain(mean[way], mean[other], metric)} dB against {label(other)}" for other in others]
    share = mean[way].get("share_of_base_tiled")
    price = f", at {share:.1%} of the tiled base's multiply-adds" if way == "routed" and is_number(share) else ""
    return f"{label(way)}: {', '.join(told)}{price}."


def _slashed(values: Sequence[str]) -> str:
    """Values beside each other, closer where they are many, below each other from line to line."""
    return (" / " if len(values) <= 4 else "/").join(value.rjust(2) for value in values)


def _measured(name: str, rows: Sequence[Row]) -> Column:
    form = _form(name, [row[name] for row in rows if is_number(row.get(name))])
    return Column(name, _heading(name), tuple(number(row.get(name), form) for row in rows))


def _heading(name: str) -> tuple[str, str]:
    if "@" in name:
        kind, _, channel = name.split("@")[0].upper().partition("_")
        return kind, channel
    return HEADINGS.get(name, ("", name.replace("_", " ")))


def _form(name: str, values: Sequence[float]) -> str:
    """A format that suits a column: three digits of its smallest value are enough."""
    if name.startswith(("psnr", "ssim")):
        return ".2f" if name.startswith("psnr") else ".4f"
    if name.startswith("share_of"):
        return ".1%"
    smallest = min((abs(value) for value in values if value), default=1.0)
    return f",.{min(max(2 - math.floor(math.log10(smallest)), 0), 3)}f"


def _gain(row: Row, reference: Row, metric: str) -> str:
    if row is reference or not (is_number(row.get(metric)) and is_number(reference.get(metric))):
        return NOTHING
    return f"{row[metric] - reference[metric]:+.2f}"
