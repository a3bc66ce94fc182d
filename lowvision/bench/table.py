"""The document of a bench as a table for a person, with what its columns mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lowvision.bench.rows import BICUBIC, ROUTED, TILED
from lowvision.report import plain
from lowvision.report.table import number

Document = Mapping[str, Any]
Row = Mapping[str, Any]

HEADINGS = (
    ("", "", "seconds", "", "Mpixel", "", "GMAC", "% of", "x base", "x base", "x base", "MiB", "MiB"),
    ("", "runtime", "min", "median", "per s", "GMAC", "per s", "peak", "torch", "tuned", "own", "loaded", "peak"),
)
NOISY = 0.2
"""Cores that others may keep busy before it is told."""
LEGEND = """\
Each row in a process of its own, one at a time, in turns; speeds and ratios by the quickest run. GMAC: 10^9
multiply-adds, overlap and classifier included. peak: a 3x3 convolution from 64 channels to 64. x base: how many times
as fast as the base on the whole image, run by torch: eager, as it comes; tuned: eager, channels last and memory kept,
as our engine has it; own: by the row's own runtime. MiB: of the process, when it is loaded and at its peak."""
LABELS = {"base_whole": "base whole", "base_tiled": "base tiled", "routed_tile_by_tile": "tile by tile"}


def text(document: Document) -> str:
    """All sizes, one table each."""
    sizes = list(dict.fromkeys(row["size"] for row in (*document["rows"], *document["left_out"])))
    parts = [_head(document), *(_of_size(document, size) for size in sizes), LEGEND]
    return "\n\n".join(part for part in parts if part)


def _head(document: Document) -> str:
    machine, peak = document["machine"], document["peak_gmac_per_s"]
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    lines = [
        f"lowvision bench: {document['weights']}{' (untrained)' if document['untrained'] else ''}",
        f"{machine['cpu']}, {machine['threads']} threads; {libraries}; rounds: {document['rounds']}",
        f"peak: {number(peak, '.1f')} GMAC per s",
    ]
    return "\n".join([*lines, *_warnings(document)])


def _warnings(document: Document) -> list[str]:
    """What a reader must know before he believes a number."""
    others = max((row["other_cores"] or 0.0 for row in document["rows"]), default=0.0)
    if others < NOISY:
        return []
    return [f"NOT QUIET: other processes kept up to {others:.1f} cores busy; believe no ratio of this table"]


def _of_size(document: Document, size: str) -> str:
    rows = [row for row in document["rows"] if row["size"] == size]
    scale = next(iter(document["task"].values())).get("scale", 1)
    larger = "x".join(str(int(side) * scale) for side in size.split("x"))
    lines = plain.aligned([*HEADINGS, *map(_cells, rows)], heading=2)
    told = [f"{size} -> {larger}", "", *lines, *_about_routed(rows), *_compared(document, size)]
    without = [one for one in document["left_out"] if one["size"] == size]
    told += [f"left out: {_name(one)}, {one['runtime']}: {one['reason']}" for one in without]
    return "\n".join(told)


def _cells(row: Row) -> tuple[str, ...]:
    counted = row["what"] != BICUBIC
    share = row["share_of_peak"]
    return (
        _name(row),
        row["runtime"],
        _digits(row["seconds_min"]),
        _digits(row["seconds_median"]),
        _digits(row["mpixel_per_s"]),
        _digits(row["gmac"] if counted else None),
        _digits(row["gmac_per_s"] if counted else None),
        number(share and 100 * share, ".0f") if counted else number(None, ""),
        number(row["times_base_whole_torch"], ".2f"),
        number(row["times_base_whole_torch_tuned"], ".2f"),
        number(row["times_base_whole_same_runtime"], ".2f"),
        number(row["rss_before_mib"], ".0f"),
        number(row["peak_rss_mib"], ".0f"),
    )


def _name(row: Row) -> str:
    name = LABELS.get(row["what"]) or str(row["what"])
    return f"{name}, {row['batch']} x {row['tile']}²" if row["what"] == TILED and "tile" in row else name


def _about_routed(rows: Sequence[Row]) -> list[str]:
    """A line for each routed row: what the whole does not show."""
    return [
        f"routed, {row['runtime']}: tiles {' / '.join(f'{share:.0%}' for share in row['shares'])}; "
        f"{number(_percent(row['share_of_peak_in_branches']), '.0f')} % of peak while branches run; "
        f"classifier, tiling and blending {row['overhead_share']:.1%} of the time"
        for row in rows
        if row["what"] == ROUTED
    ]


def _compared(document: Document, size: str) -> list[str]:
    found = next((one for one in document["comparisons"] if one["size"] == size), None)
    if not found:
        return []
    told = {
        "base whole, torch": found["best_against_base_whole_torch"],
        "base whole, torch_tuned": found["best_against_base_whole_torch_tuned"],
        f"base whole, {found['best_runtime']}": found["best_against_base_whole_same_runtime"],
    }
    in_torch = {
        "base whole": found["torch_against_base_whole_torch"],
        "base tiled": found["torch_against_base_tiled_torch"],
        "tile by tile": found["torch_against_tile_by_tile"],
    }
    return [_times(f"routed in {found['best_runtime']}", told), _times("routed in torch", in_torch)]


def _times(what: str, others: Mapping[str, float | None]) -> str:
    """Against what was measured."""
    times = [f"{number(times, '.2f')} x {other}" for other, times in others.items() if times]
    return f"speed of {what}: {'; '.join(times) or 'nothing to compare with'}"


def _digits(value: float | None) -> str:
    """Three digits at least, three after the point at most."""
    return number(value, ".3f" if value is None or value < 10 else ".2f" if value < 100 else ".1f")


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
