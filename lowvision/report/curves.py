"""Draw the training curves of each stage as SVG: losses, validation PSNR, shares of tiles, entropy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import accumulate, cycle
from typing import Any

from lowvision.imaging.palette import colours, hexadecimal
from lowvision.report.axis import Axis, fitted
from lowvision.report.table import is_number

Entry = Mapping[str, Any]
"""A line of metrics.jsonl: stage, step, and metrics."""
Points = list[tuple[float, Any]]
"""Pairs of a step and its value or values."""

WIDTH, HEIGHT = 244, 150
LEFT, RIGHT, TOP, BOTTOM = 44, 5, 8, 20
MAX_POINTS = 240
"""Longer curves are averaged over equal intervals: smaller files, smoother lines."""
LOSSES = ("loss", "image", "class", "average", "own")
PARTS = ("image/", "critic/")
"""Prefixes of the losses that a recipe lists."""
LINES = ("var(--ink)", "#3174b2", "#e0802f", "#2f9e8f", "#a04a9c", "#8a7a2c", "#c0392b", "#6c7a89")


def stages(metrics: Sequence[Entry]) -> Iterator[tuple[str, list[str]]]:
    """Return each stage with metrics, in order, and its charts as HTML."""
    for stage in dict.fromkeys(entry["stage"] for entry in metrics):
        entries = [entry for entry in metrics if entry["stage"] == stage]
        panels = [_losses(entries), _psnr(entries), _shares(entries), _entropy(entries)]
        charts = [panel for panel in panels if panel]
        if charts:
            yield stage, charts


def _losses(entries: Sequence[Entry]) -> str:
    listed = dict.fromkeys(name for entry in entries for name in entry if name.startswith(PARTS))
    series = {name: _numbers(entries, name) for name in (*LOSSES, *listed)}
    # A single loss equals the total, which is not charts twice.
    parts = {name: points for name, points in series.items() if points and points != series["loss"]}
    distinct = {"loss": series["loss"], **parts} if series["loss"] else parts
    values = [value for points in distinct.values() for _, value in points]
    if not values:
        return ""
    positive = [value for value in values if value > 0]
    vertical = fitted(positive or values, logarithmic=bool(positive))
    return _chart(distinct, vertical, "losses" if len(distinct) > 1 else "loss")


def _psnr(entries: Sequence[Entry]) -> str:
    points = _numbers(entries, "valid_psnr")
    if not points:
        return ""
    step, best = max(points, key=lambda point: point[1])
    vertical = fitted([value for _, value in points])
    return _chart({"": points}, vertical, f"PSNR on data.valid, best {best:.2f} dB", best=(step, best))


def _entropy(entries: Sequence[Entry]) -> str:
    points = _numbers(entries, "entropy")
    if not points:
        return ""
    highest = max(value for _, value in points)
    return _chart({"": points}, Axis(0.0, 1.06 * highest or 1.0), "entropy of the choice, 0 is certain")


def _shares(entries: Sequence[Entry]) -> str:
    """Draw stacked shares of tiles, the cheapest branch at the bottom: chosen shares, or mean probabilities."""
    name = "chosen" if any("chosen" in entry for entry in entries) else "shares"
    points: Points = [(entry["step"], entry[name]) for entry in entries if _is_shares(entry.get(name))]
    if not points or len(points[0][1]) < 2:
        return ""
    points = _thinned(points)
    horizontal, vertical = _steps(points), Axis(0.0, 1.0)
    tints = [hexadecimal(colour) for colour in colours(len(points[0][1]))]
    bands = []
    for k, tint in enumerate(tints):
        edges = [(step, [0.0, *accumulate(share)][k : k + 2]) for step, share in points]
        edge = [(step, pair[1]) for step, pair in edges] + [(step, pair[0]) for step, pair in reversed(edges)]
        if len(points) == 1:  # a single step: a band as wide as the chart
            (_, (low, high)) = edges[0]
            edge = [(horizontal.low, high), (horizontal.high, high), (horizontal.high, low), (horizontal.low, low)]
        bands.append(f'<polygon points="{_path(edge, horizontal, vertical)}" fill="{tint}"/>')
    keys = {str(k): tint for k, tint in enumerate(tints)}
    return _figure("".join(bands), horizontal, vertical, "share of tiles in branch", keys, percent=True)


def _chart(series: Mapping[str, Points], vertical: Axis, title: str, best: tuple[float, float] | None = None) -> str:
    horizontal = _steps([point for points in series.values() for point in points])
    tints = dict(zip(series, cycle(LINES), strict=False)) if len(series) > 1 else dict.fromkeys(series, LINES[1])
    charts = []
    for name, points in series.items():
        kept = [(step, value) for step, value in _thinned(points) if value > 0 or not vertical.logarithmic]
        charts.append(f'<polyline points="{_path(kept, horizontal, vertical)}" stroke="{tints[name]}"/>')
        if len(kept) == 1 or best:
            x, y = _place(best or kept[0], horizontal, vertical)
            charts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{tints[name]}"/>')
    keys = tints if len(series) > 1 else {}
    return _figure("".join(charts), horizontal, vertical, title, keys)


def _figure(
    drawing: str, horizontal: Axis, vertical: Axis, title: str, keys: Mapping[str, str], percent: bool = False
) -> str:
    marks = []
    for mark in vertical.marks():
        _, y = _place((horizontal.low, mark), horizontal, vertical)
        label = f"{mark:.0%}" if percent else _short(mark)
        marks.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        marks.append(f'<text x="{LEFT - 5}" y="{y + 3:.1f}" text-anchor="end">{label}</text>')
    for mark in horizontal.marks(about=3):
        x, _ = _place((mark, vertical.low), horizontal, vertical)
        anchor = "end" if x > WIDTH - 24 else "middle"
        marks.append(f'<text x="{x:.1f}" y="{HEIGHT - 5}" text-anchor="{anchor}">{mark:g}</text>')
    legend = "".join(f'<span><i style="background:{tint}"></i>{escape(name)}</span>' for name, tint in keys.items())
    return (
        f'<figure class="chart"><figcaption>{escape(title)} {legend}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{drawing}{''.join(marks)}</svg></figure>"
    )


def _short(mark: float) -> str:
    return f"{mark:.0e}".replace("e-0", "e-") if 0 < mark < 1e-3 else f"{mark:g}"


def _steps(points: Points) -> Axis:
    return Axis(0.0, max([1.0, *(step for step, _ in points)]))


def _place(point: tuple[float, float], horizontal: Axis, vertical: Axis) -> tuple[float, float]:
    x = LEFT + horizontal.place(point[0]) * (WIDTH - LEFT - RIGHT)
    return x, HEIGHT - BOTTOM - vertical.place(point[1]) * (HEIGHT - TOP - BOTTOM)


def _path(points: Points, horizontal: Axis, vertical: Axis) -> str:
    places = (_place(point, horizontal, vertical) for point in points)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _numbers(entries: Sequence[Entry], name: str) -> Points:
    return [(entry["step"], entry[name]) for entry in entries if is_number(entry.get(name))]


def _is_shares(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_number, value))


def _thinned(points: Points) -> Points:
    """Average more than MAX_POINTS points over equal intervals."""
    if len(points) <= MAX_POINTS:
        return points
    length = -(-len(points) // MAX_POINTS)
    return [_mean(points[start : start + length]) for start in range(0, len(points), length)]


def _mean(points: Points) -> tuple[float, Any]:
    step = sum(step for step, _ in points) / len(points)
    if isinstance(points[0][1], list):
        return step, [sum(values) / len(points) for values in zip(*(value for _, value in points), strict=True)]
    return step, sum(value for _, value in points) / len(points)
