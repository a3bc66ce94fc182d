"""What was measured as a document of plain values: rows, ratios, the machine."""

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
"""Raised when the document changes in a way that its readers would notice."""
LIBRARIES = ("torch", "openvino", "onnxruntime")
"""Whose versions are told, where they are installed."""

Figures = dict[str, Any]
"""One row of the document."""


@dataclass(frozen=True)
class Size:
    """Of the image that is restored, in LQ pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class Measured:
    """A row that was measured at one size."""

    row: Row
    size: Size
    loaded: Mapping[str, Any]
    """What its process told when it was warm."""
    runs: Sequence[Mapping[str, Any]]
    """What it told after each timed run."""


@dataclass(frozen=True)
class LeftOut:
    """A row that could not be measured at one size."""

    row: Row
    size: Size
    reason: str


@dataclass(frozen=True)
class Outcome:
    """All rows at one size."""

    measured: tuple[Measured, ...]
    left_out: tuple[LeftOut, ...]


def document(
    outcomes: Sequence[Outcome], made: Architecture, facts: Mapping[str, Any], registry: Registry
) -> dict[str, Any]:
    """What `lowvision bench --json` prints; `facts` stand in it as they are."""
    peaks = [run["gmac_per_s"] for outcome in outcomes for one in outcome.measured for run in one.runs if _is_peak(one)]
    peak = max(peaks, default=None)
    rows = [figures for outcome in outcomes for figures in _rows(outcome, made.task.scale, peak)]
    best = _fastest(row for row in rows if row["what"] == ROUTED and row["size"] == rows[0]["size"])
    return {
        "schema": SCHEMA,
        **facts,
        "task": registry.serialize(made.task),
        "branches": [registry.serialize(branch) for branch in made.branches],
        "machine": machine(),
        "peak_gmac_per_s": peak,
        "rows": rows,
        "left_out": [
            {"what": one.row.what, "runtime": one.row.runtime, "size": str(one.size), "reason": one.reason}
            for outcome in outcomes
            for one in outcome.left_out
        ],
        "comparisons": [found for outcome in outcomes if (found := _comparisons(outcome, rows))],
        "overhead_share": best and best["overhead_share"],
    }


def machine() -> dict[str, Any]:
    """What speed depends on."""
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
    rows = [_figures(one, scale, peak) for one in outcome.measured if not _is_peak(one)]
    for row in rows:
        for name, runtime in (("torch", PLAIN), ("torch_tuned", TUNED), ("same_runtime", row["runtime"])):
            row[f"times_base_whole_{name}"] = _times(row, _find(rows, WHOLE, runtime))
    return rows


def _figures(one: Measured, scale: int, peak: float | None) -> Figures:
    """Of one row, those that need no other one. Speeds are those of the quickest run."""
    seconds = [run["seconds"] for run in one.runs]
    quickest, gmac, last = min(seconds), one.loaded["gmac"], one.runs[-1]
    megapixels = one.size.width * one.size.height * scale**2 / 1e6
    figures: Figures = {
        "what": one.row.what,
        "runtime": one.row.runtime,
        "size": str(one.size),
        "seconds_min": quickest,
        "seconds_median": statistics.median(seconds),
        "seconds": seconds,
        "mpixel_per_s": megapixels / quickest,
        "seconds_per_mpixel": quickest / megapixels,
        "gmac": gmac,
        "gmac_per_s": gmac / quickest,
        "share_of_peak": gmac / quickest / peak if peak else None,
        "rss_before_mib": one.loaded["rss_before_mib"],
        "peak_rss_mib": last["peak_rss_mib"],
        "other_cores": _median(one.runs, "other_cores"),
    }
    figures |= {name: last[name] for name in ("shares", "tile", "batch") if name in last}
    if "overhead_seconds" in last:
        rate = last["branch_gmac"] / min(run["branch_seconds"] for run in one.runs)
        figures |= {
            "decide_seconds": _median(one.runs, "decide_seconds"),
            "overhead_seconds": _median(one.runs, "overhead_seconds"),
            "overhead_share": min(run["overhead_seconds"] for run in one.runs) / quickest,
            "share_of_peak_in_branches": rate / peak if peak else None,
        }
    return figures


def _comparisons(outcome: Outcome, rows: Sequence[Figures]) -> dict[str, Any] | None:
    """How many times as fast the routed ones are as what one would run otherwise, at one size."""
    here = [row for row in rows if any(row["size"] == str(one.size) for one in outcome.measured)]
    best, plain = _fastest(row for row in here if row["what"] == ROUTED), _find(here, ROUTED, PLAIN)
    if best is None:
        return None
    return {
        "size": best["size"],
        "best_runtime": best["runtime"],
        "best_against_base_whole_torch": best["times_base_whole_torch"],
        "best_against_base_whole_torch_tuned": best["times_base_whole_torch_tuned"],
        "best_against_base_whole_same_runtime": best["times_base_whole_same_runtime"],
        "torch_against_base_whole_torch": plain and plain["times_base_whole_torch"],
        "torch_against_base_tiled_torch": plain and _times(plain, _find(here, TILED, PLAIN)),
        "torch_against_tile_by_tile": plain and _times(plain, _find(here, TILE_BY_TILE, PLAIN)),
    }


def _times(row: Figures, other: Figures | None) -> float | None:
    """How many times as fast a row is as another; by the quickest run of each, as a disturbance only ever slows."""
    return other["seconds_min"] / row["seconds_min"] if other and row["what"] != BICUBIC else None


def _find(rows: Iterable[Figures], what: str, runtime: str) -> Figures | None:
    return next((row for row in rows if (row["what"], row["runtime"]) == (what, runtime)), None)


def _fastest(rows: Iterable[Figures]) -> Figures | None:
    return min(rows, key=lambda row: row["seconds_min"], default=None)


def _is_peak(one: Measured) -> bool:
    return one.row.what == PEAK


def _median(runs: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [run[name] for run in runs if run[name] is not None]
    return statistics.median(values) if values else None
