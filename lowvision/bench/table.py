"""Format the document of a bench as text tables with a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lowvision.bench.rows import BICUBIC, ROUTED, TILED
from lowvision.report.table import number
from lowvision.system.text_table import aligned

Document = Mapping[str, Any]
Row = Mapping[str, Any]

HEADINGS = (
    ("", "", "seconds", "", "Mpixel", "", "GMAC", "% of", "x base", "x base", "x base", "MiB", "MiB"),
    ("", "runtime", "min", "median", "per s", "GMAC", "per s", "peak", "torch", "tuned", "own", "loaded", "peak"),
)
NOISY = 0.2
"""Number of cores busy with other processes above which a warning is printed."""
LEGEND = """\
Each row runs in its own process, one at a time, in turns; speeds and ratios are those of the fastest run. GMAC: 10^9
multiply-adds, including overlap and classifier. peak: a 3x3 convolution from 64 to 64 channels. x base: speed relative
to the base on the whole image, by torch: eager with default settings; tuned: eager, channels last, memory kept, as the
engine does; own: by the row's own runtime. MiB: memory of the process, after loading and at its peak; on an
accelerator the peak is that of the memory of the device."""
LABELS = {"base_whole": "base whole", "base_tiled": "base tiled", "routed_tile_by_tile": "tile by tile"}


def text(document: Document) -> str:
    """Format one table per size."""
    sizes = list(dict.fromkeys(row["size"] for row in (*document["rows"], *document["left_out"])))
    parts = [_head(document), *(_of_size(document, size) for size in sizes), LEGEND]
    return "\n\n".join(part for part in parts if part)


def _head(document: Document) -> str:
    machine, peak = document["machine"], document["peak_gmac_per_s"]
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    lines = [
        f"lowvision bench: {document['weights']}{' (untrained)' if document['untrained'] else ''}",
        f"{_place(machine)}; {libraries}; rounds: {document['rounds']}",
        f"peak: {number(peak, '.1f')} GMAC per s",
    ]
    return "\n".join([*lines, *_warnings(document)])


def _place(machine: Mapping[str, Any]) -> str:
    host = f"{machine['cpu']}, {machine['threads']} threads"
    return f"{machine['accelerator']} in {host}" if machine["accelerator"] else host


def _warnings(document: Document) -> list[str]:
    """Return warnings about the validity of the figures."""
    others = max((row["other_cores"] or 0.0 for row in document["rows"]), default=0.0)
    if others < NOISY:
        return []
    return [f"NOT QUIET: other processes kept up to {others:.1f} cores busy; the ratios of this table are not valid"]


def _of_size(document: Document, size: str) -> str:
    rows = [row for row in document["rows"] if row["size"] == size]
    scale = next(iter(document["task"].values())).get("scale", 1)
    larger = "x".join(str(int(side) * scale) for side in size.split("x"))
    table = aligned([*HEADINGS, *map(_cells, rows)], numeric=True, heading=2)
    lines = [f"{size} -> {larger}", "", *table, *_routed_details(rows), *_compared(document, size)]
    left_out = [row for row in document["left_out"] if row["size"] == size]
    lines += [f"left out: {_name(row)}, {row['runtime']}: {row['reason']}" for row in left_out]
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    counted = row["method"] != BICUBIC
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
        number(row["device_peak_mib"] or row["peak_rss_mib"], ".0f"),
    )


def _name(row: Row) -> str:
    name = LABELS.get(row["method"]) or str(row["method"])
    return f"{name}, {row['batch']} x {row['tile']}²" if row["method"] == TILED and "tile" in row else name


def _routed_details(rows: Sequence[Row]) -> list[str]:
    """Return a line per routed row with its shares, speed and overhead."""
    return [
        f"routed, {row['runtime']}: tiles {' / '.join(f'{share:.0%}' for share in row['shares'])}; "
        f"{number(_percent(row['share_of_peak_in_branches']), '.0f')} % of peak while branches run; "
        f"classifier, tiling and blending {row['overhead_share']:.1%} of the time"
        for row in rows
        if row["method"] == ROUTED
    ]


def _compared(document: Document, size: str) -> list[str]:
    comparison = next((entry for entry in document["comparisons"] if entry["size"] == size), None)
    if not comparison:
        return []
    best = {
        "base whole, torch": comparison["best_against_base_whole_torch"],
        "base whole, torch_tuned": comparison["best_against_base_whole_torch_tuned"],
        f"base whole, {comparison['best_runtime']}": comparison["best_against_base_whole_same_runtime"],
    }
    in_torch = {
        "base whole": comparison["torch_against_base_whole_torch"],
        "base tiled": comparison["torch_against_base_tiled_torch"],
        "tile by tile": comparison["torch_against_tile_by_tile"],
    }
    return [_times(f"routed in {comparison['best_runtime']}", best), _times("routed in torch", in_torch)]


def _times(what: str, others: Mapping[str, float | None]) -> str:
    """Format the speed relative to each measured row."""
    times = [f"{number(times, '.2f')} x {other}" for other, times in others.items() if times]
    return f"speed of {what}: {'; '.join(times) or 'nothing to compare with'}"


def _digits(value: float | None) -> str:
    """Format at least three digits, at most three of them after the point."""
    return number(value, ".3f" if value is None or value < 10 else ".2f" if value < 100 else ".1f")


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
