"""Build the JSON document of a bench: rows, ratios, machine."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lowvision.bench.rows import BICUBIC, PEAK, PLAIN, ROUTED, TILE_BY_TILE, TILED, TUNED, WHOLE, Row
from lowvision.models.architecture import Architecture
from lowvision.plugins.registry import Registry
from lowvision.system import devices
from lowvision.system.distributions import installed_version

SCHEMA = 1
"""Version of the document; incremented on incompatible changes."""
LIBRARIES = ("torch", "openvino", "onnxruntime")
"""Libraries whose versions are reported if they are installed."""

Figures = dict[str, Any]
"""A row of the document."""


@dataclass(frozen=True)
class Size:
    """Size of the restored image, in LQ pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class Measured:
    """Measurements of a row at one size."""

    row: Row
    size: Size
    loaded: Mapping[str, Any]
    """Measurement of the warm-up."""
    runs: Sequence[Mapping[str, Any]]
    """Measurements of the timed runs."""


@dataclass(frozen=True)
class LeftOut:
    """A row that could not be measured at one size, with the reason."""

    row: Row
    size: Size
    reason: str


@dataclass(frozen=True)
class Outcome:
    """Results of all rows at one size."""

    measured: tuple[Measured, ...]
    left_out: tuple[LeftOut, ...]


def document(
    outcomes: Sequence[Outcome], architecture: Architecture, facts: Mapping[str, Any], registry: Registry
) -> dict[str, Any]:
    """Return the document that `lowvision bench --json` prints; `facts` are added to it."""
    peaks = [
        run["gmac_per_s"] for outcome in outcomes for item in outcome.measured for run in item.runs if _is_peak(item)
    ]
    peak = max(peaks, default=None)
    rows = [figures for outcome in outcomes for figures in _rows(outcome, architecture.task.scale, peak)]
    best = _fastest(row for row in rows if row["method"] == ROUTED and row["size"] == rows[0]["size"])
    return {
        "schema": SCHEMA,
        **facts,
        "task": registry.serialize(architecture.task),
        "branches": [registry.serialize(branch) for branch in architecture.branches],
        "machine": {**machine(), "accelerator": devices.accelerator_name(facts["device"])},
        "peak_gmac_per_s": peak,
        "rows": rows,
        "left_out": [
            {"method": item.row.method, "runtime": item.row.runtime, "size": str(item.size), "reason": item.reason}
            for outcome in outcomes
            for item in outcome.left_out
        ],
        "comparisons": [comparison for outcome in outcomes if (comparison := _comparisons(outcome, rows))],
        "overhead_share": best and best["overhead_share"],
    }


def machine() -> dict[str, Any]:
    """Return the properties of the machine that affect speed."""
    return {
        "cpu": devices.cpu_name(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": {name: version for name in LIBRARIES if (version := installed_version(name))},
    }


def _rows(outcome: Outcome, scale: int, peak: float | None) -> list[Figures]:
    rows = [_figures(item, scale, peak) for item in outcome.measured if not _is_peak(item)]
    for row in rows:
        for name, runtime in (("torch", PLAIN), ("torch_tuned", TUNED), ("same_runtime", row["runtime"])):
            row[f"times_base_whole_{name}"] = _times(row, _find(rows, WHOLE, runtime))
    return rows


def _figures(measured: Measured, scale: int, peak: float | None) -> Figures:
    """Return the figures of a row that depend on no other row; speeds are those of the fastest run."""
    seconds = [run["seconds"] for run in measured.runs]
    fastest, gmac, last = min(seconds), measured.loaded["gmac"], measured.runs[-1]
    megapixels = measured.size.width * measured.size.height * scale**2 / 1e6
    figures: Figures = {
        "method": measured.row.method,
        "runtime": measured.row.runtime,
        "size": str(measured.size),
        "seconds_min": fastest,
        "seconds_median": statistics.median(seconds),
        "seconds": seconds,
        "mpixel_per_s": megapixels / fastest,
        "seconds_per_mpixel": fastest / megapixels,
        "gmac": gmac,
        "gmac_per_s": gmac / fastest,
        "share_of_peak": gmac / fastest / peak if peak else None,
        "rss_before_mib": measured.loaded["rss_before_mib"],
        "peak_rss_mib": last["peak_rss_mib"],
        "device_peak_mib": last.get("device_peak_mib", 0.0),
        "other_cores": _median(measured.runs, "other_cores"),
    }
    figures |= {name: last[name] for name in ("shares", "tile", "batch") if name in last}
    if "overhead_seconds" in last:
        rate = last["branch_gmac"] / min(run["branch_seconds"] for run in measured.runs)
        figures |= {
            "decide_seconds": _median(measured.runs, "decide_seconds"),
            "overhead_seconds": _median(measured.runs, "overhead_seconds"),
            "overhead_share": min(run["overhead_seconds"] for run in measured.runs) / fastest,
            "share_of_peak_in_branches": rate / peak if peak else None,
        }
    return figures


def _comparisons(outcome: Outcome, rows: Sequence[Figures]) -> dict[str, Any] | None:
    """Return the speed of the routed rows relative to the other methods at one size."""
    same_size = [row for row in rows if any(row["size"] == str(item.size) for item in outcome.measured)]
    best, plain = _fastest(row for row in same_size if row["method"] == ROUTED), _find(same_size, ROUTED, PLAIN)
    if best is None:
        return None
    return {
        "size": best["size"],
        "best_runtime": best["runtime"],
        "best_against_base_whole_torch": best["times_base_whole_torch"],
        "best_against_base_whole_torch_tuned": best["times_base_whole_torch_tuned"],
        "best_against_base_whole_same_runtime": best["times_base_whole_same_runtime"],
        "torch_against_base_whole_torch": plain and plain["times_base_whole_torch"],
        "torch_against_base_tiled_torch": plain and _times(plain, _find(same_size, TILED, PLAIN)),
        "torch_against_tile_by_tile": plain and _times(plain, _find(same_size, TILE_BY_TILE, PLAIN)),
    }


def _times(row: Figures, other: Figures | None) -> float | None:
    """Return the speed of a row relative to another, by their fastest runs, because load can only slow a run."""
    return other["seconds_min"] / row["seconds_min"] if other and row["method"] != BICUBIC else None


def _find(rows: Iterable[Figures], method: str, runtime: str) -> Figures | None:
    return next((row for row in rows if (row["method"], row["runtime"]) == (method, runtime)), None)


def _fastest(rows: Iterable[Figures]) -> Figures | None:
    return min(rows, key=lambda row: row["seconds_min"], default=None)


def _is_peak(measured: Measured) -> bool:
    return measured.row.method == PEAK


def _median(runs: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [run[name] for run in runs if run[name] is not None]
    return statistics.median(values) if values else None
