"""Build the tables of a report as cells of text: columns, labels, explanations and protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from lowvision.imaging import protocol as protocols

SCHEMA = 2
"""Version of `report.json`. Since 2 the key `metrics` describes the quality columns; those of 1 are PSNR and SSIM."""
Document = Mapping[str, Any]
"""Content of `report.json`: schema, task, metrics, and sets of images, each measured with several methods."""
Row = Mapping[str, Any]
"""Figures of one method by name."""

NOTHING = "-"
"""Text of a cell without a measurement."""

LABELS = {"base_whole": "base (whole image)", "base_tiled": "base (tiled)", "random": "random routing"}
AT_BUDGET = "routed@"
"""Prefix of methods with a budget, e.g. `routed@0.6`."""
ADAPTED_TO = "adaptive@"
"""Prefix of an adaptive base with a budget, e.g. `adaptive@0.6`."""
AT_SPEED = "restore@"
"""Prefix of the speeds of `lowvision restore`, e.g. `restore@balanced`."""
EXCEEDED = {
    AT_BUDGET: ("share_of_base_whole", "on which no cheaper route exists"),
    ADAPTED_TO: ("share_of_base_tiled", "because the setting was calibrated on other tiles"),
}
"""The share that a budget limits, and the reason if it is exceeded, by the prefix of methods."""
ROUNDING = 1e-6
CHANNELS = ("rgb", "y")
"""Parts of a metric that stand in the second line of a heading."""
HEADINGS = {
    "gmac": ("", "GMAC"),
    "share_of_base_whole": ("of base", "whole"),
    "share_of_base_tiled": ("of base", "tiled"),
    "seconds": ("", "seconds"),
}
EXPLANATIONS = {
    "base_whole": "the largest network, trained alone, on the whole image: the alternative to routing",
    "base_tiled": "the same network on the tiles that routing uses",
    "adaptive": "the tiled base, which skips computation adaptively; its cost is the measured one",
    "routed": "the classifier sends each tile to one branch",
    "oracle": "the best routing within the cost of routed, by the true errors of all branches: an upper bound",
    "random": "each branch gets as many tiles as in routed, chosen at random: the classifier must be better",
}


@dataclass(frozen=True)
class Column:
    """One column of a table as text."""

    name: str
    """Key in the document; `gain` is computed."""
    heading: tuple[str, str]
    """Two lines of heading."""
    cells: tuple[str, ...]
    """One cell per row."""


def ways(row: Mapping[str, Any]) -> dict[str, Row]:
    """Return the methods of an image or a mean, in order."""
    return {name: value for name, value in row.items() if isinstance(value, Mapping)}


def columns(mean: Mapping[str, Row], metrics: Mapping[str, Any] = MappingProxyType({})) -> list[Column]:
    """Return the columns of a set's table with a cell per method: every measured figure, quality first.

    metrics: the descriptions of a document; a metric whose lower values are better is marked.
    """
    rows = list(mean.values())
    names = list(dict.fromkeys(name for row in rows for name in row))
    quality = [name for name in names if "@" in name]
    rest = [name for name in HEADINGS if name in names]
    rest += [name for name in names if name not in (*quality, *rest, "shares")]
    lower = [name for name, about in metrics.items() if not about.get("higher_is_better", True)]
    drawn = [_marked(_measured(name, rows), lower) for name in quality]
    if "input" in mean and (metric := main_metric(mean)):
        drawn.append(Column("gain", ("gain", "dB"), tuple(_gain(row, mean["input"], metric) for row in rows)))
    drawn += [_measured(name, rows) for name in rest]
    if "shares" in names:
        branches = max(len(row.get("shares") or ()) for row in rows)
        heading = ("% of tiles in", "branch " + _slashed([str(k) for k in range(branches)]))
        drawn.append(Column("shares", heading, tuple(shares(row) for row in rows)))
    return drawn


def main_metric(mean: Mapping[str, Row]) -> str | None:
    """Return the key of the PSNR used for gains: the first measured one."""
    names = (name for row in mean.values() for name in row)
    return next((name for name in names if name.startswith("psnr")), None)


def number(value: Any, form: str) -> str:
    """Format a number; a dash if it is none."""
    return format(value, form) if is_number(value) else NOTHING


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def shares(row: Row) -> str:
    """Format the percentage of tiles per branch."""
    values = row.get("shares") or ()
    return _slashed([f"{100 * share:.0f}" if is_number(share) else NOTHING for share in values]) or NOTHING


def label(way: str) -> str:
    """Return the label of a method."""
    if way.startswith(AT_BUDGET):
        return f"routed, budget {float(way.removeprefix(AT_BUDGET)):.0%}"
    if way.startswith(AT_SPEED):
        return f"restore, {way.removeprefix(AT_SPEED)}"
    if way.startswith(ADAPTED_TO):
        return f"adaptive, budget {float(way.removeprefix(ADAPTED_TO)):.0%}"
    return LABELS.get(way, way.replace("_", " "))


def title(document: Document) -> str:
    """Return the task in one line, e.g. `sr, scale 4`."""
    # Reports from before there was this key have tasks without components in their options.
    return document.get("title") or "; ".join(
        ", ".join([name, *(f"{option} {value}" for option, value in options.items())])
        for name, options in document.get("task", {}).items()
    )


def explanations(document: Document) -> dict[str, str]:
    """Explain the rows of the document by label; branches share one entry."""
    enlarged = any(options.get("scale", 1) > 1 for options in document.get("task", {}).values())
    unprocessed = "the input, enlarged by bicubic interpolation" if enlarged else "the input itself"
    # Reports from before there was this key are of first-party tasks, of which the above is true.
    unprocessed = document.get("baseline", unprocessed)
    rivals = document.get("classifiers", {})
    at_cost = {name: f"{text.rstrip('.')}; within the cost of routed" for name, text in rivals.items()}
    texts = {"input": unprocessed, **EXPLANATIONS, **at_cost}
    methods = list(dict.fromkeys(way for image_set in document["sets"] for way in image_set["mean"]))
    by_label = {label(way): texts[way] for way in methods if way in texts}
    branches = [way for way in methods if way.startswith("branch_")]
    if any(way.startswith(AT_BUDGET) for way in methods):
        by_label["budget"] = (
            "as `restore --budget`: merged tiles, at most this share of the base's cost on the whole image"
        )
    if any(way.startswith(AT_SPEED) for way in methods):
        by_label["restore"] = "as `lowvision restore --speed`: merged tiles, at the calibrated trade of loss for cost"
    if any(way.startswith(ADAPTED_TO) for way in methods):
        by_label["adaptive, budget"] = (
            "adaptive, calibrated on other photographs to this mean share of the tiled base's cost"
        )
    return by_label | ({"branch k": "every tile is restored by this branch; 0 is the smallest"} if branches else {})


def protocol(document: Document) -> str:
    """Describe how the figures were measured."""
    names = dict.fromkeys(
        name for image_set in document["sets"] for row in image_set["mean"].values() for name in row if "@crop" in name
    )
    others = {
        name: about for name, about in document.get("metrics", {}).items() if not name.startswith(("psnr", "ssim"))
    }
    more = "".join(f" {_sentence(name, about)}" for name, about in others.items())
    crops = ", ".join(dict.fromkeys(name.split("@crop")[1] for name in names))
    cut = "without cropping" if crops == "0" else f"with {crops} pixels cropped at each border"
    routed = any("routed" in image_set["mean"] for image_set in document["sets"])
    classifier = ", for routed also the classifier" if routed else ""
    # Only RGB has two conventions; reports without a name are from before there was a choice.
    of_rgb = any(name.startswith("psnr_rgb") for name in names)
    convention = f" ({protocols.EXPLANATIONS[document.get('protocol', 'basicsr')]})" if of_rgb else ""
    compared = any(name.startswith(("psnr", "ssim")) for name in names)
    measured = "PSNR in dB and SSIM of images" if compared else "Measured on restored images"
    luma = f"; Y is the luma of BT.601{convention}" if compared else ""
    gain = " Gain: PSNR of the first column minus that of the input." if compared else ""
    return (
        f"{measured} rounded to 8 bits, {cut}{luma}.{gain} GMAC: 10^9 exact multiply-adds per image, including tile "
        f"overlap{classifier}; of base: divided by that of the base. Seconds are per image. Figures are means over "
        f"images.{more}{_left_out(document)}"
    )


def _sentence(name: str, about: Mapping[str, Any]) -> str:
    """Describe a metric of a plugin."""
    kind = "" if about.get("full_reference", True) else ", without a reference"
    direction = "higher" if about.get("higher_is_better", True) else "lower"
    return f"{_title(name)}: {about['protocol'].rstrip('.')}{kind}; {direction} is better."


def _left_out(document: Document) -> str:
    """Name the methods that could not be run on some images, and why; empty if there are none."""
    images = [image for image_set in document["sets"] for image in image_set["images"]]
    reasons = [f" {image['name']}: {reason}." for image in images for reason in image.get("left_out", ())]
    return f" Left out, without a mean:{''.join(reasons)}" if reasons else ""


def excesses(image_set: Mapping[str, Any]) -> list[str]:
    """Return a sentence per budget that was exceeded, with the number of images and the reason."""
    sentences = []
    for way in image_set["mean"]:
        prefix = next((prefix for prefix in EXCEEDED if way.startswith(prefix)), None)
        if prefix is None:
            continue
        share, reason = EXCEEDED[prefix]
        budget = float(way.removeprefix(prefix))
        shares = [row[share] for image in image_set["images"] if is_number((row := image.get(way, {})).get(share))]
        over = sum(value > budget + ROUNDING for value in shares)
        if over:
            sentences.append(f"{label(way)}: over the budget on {over} of {len(shares)} images, {reason}.")
    return sentences


def verdict(mean: Mapping[str, Row]) -> str:
    """Summarise the result in a sentence or two; empty if only the input was measured."""
    metric = main_metric(mean)
    way = next((way for way in ("routed", "base_whole", "base_tiled") if way in mean), None)
    if metric is None or way is None:
        return ""
    others = [other for other in ("input", "base_tiled", "random") if other in mean and other != way]
    if way != "routed":
        others = others[:1]
    gains = [f"{_gain(mean[way], mean[other], metric)} dB against {label(other)}" for other in others]
    share = mean[way].get("share_of_base_tiled")
    cost = f", at {share:.1%} of the tiled base's multiply-adds" if way == "routed" and is_number(share) else ""
    return " ".join([f"{label(way)}: {', '.join(gains)}{cost}.", *_at_speed(mean, metric)])


def _at_speed(mean: Mapping[str, Row], metric: str) -> list[str]:
    """Return one sentence on the slowest measured speed of `lowvision restore` that loses something; empty if none."""
    way = next((way for way in ("balanced", "fast") if AT_SPEED + way in mean), None)
    if way is None or "base_whole" not in mean:
        return []
    row = mean[AT_SPEED + way]
    against = f"{_gain(row, mean['base_whole'], metric)} dB against {label('base_whole')}"
    return [f"{label(AT_SPEED + way)}: {against}, at {row['share_of_base_whole']:.1%} of its multiply-adds."]


def _slashed(values: Sequence[str]) -> str:
    """Join values by slashes, without spaces if there are more than four."""
    return (" / " if len(values) <= 4 else "/").join(value.rjust(2) for value in values)


def _marked(column: Column, lower: Sequence[str]) -> Column:
    """Mark the heading of a metric of which lower values are better."""
    kind = column.name.partition("@")[0]
    if not any(kind == name or kind.startswith(f"{name}_") for name in lower):
        return column
    return replace(column, heading=(column.heading[0], f"{column.heading[1]} ↓".strip()))


def _title(kind: str) -> str:
    """Return the title of a metric, e.g. MS-SSIM."""
    return kind.upper().replace("_", "-")


def _measured(name: str, rows: Sequence[Row]) -> Column:
    form = _form(name, [row[name] for row in rows if is_number(row.get(name))])
    return Column(name, _heading(name), tuple(number(row.get(name), form) for row in rows))


def _heading(name: str) -> tuple[str, str]:
    if "@" in name:
        kind, _, channel = name.split("@")[0].rpartition("_")
        if channel in CHANNELS:
            return _title(kind), channel.upper()
        return _title(name.split("@")[0]), ""
    return HEADINGS.get(name, ("", name.replace("_", " ")))


def _form(name: str, values: Sequence[float]) -> str:
    """Return a number format for a column that shows three digits of its smallest value."""
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
