"""Prepare restore methods by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lowvision.bench import ours, peak, plain, rows
from lowvision.bench.job import Job, Method
from lowvision.system.allocator import keep_memory


def prepare(job: Job) -> Method:
    """Load the networks of a row and prepare its method, without running it.

    Raises LowvisionError if the row is impossible, and any error of a runtime.
    """
    return PREPARE[job.row.method](job)


def _peak(job: Job) -> Method:
    """Prepare the measurement of the machine's peak, which changes over time and so is repeated every round."""
    if job.device == "cpu":
        keep_memory()
    rates: list[float] = []
    return Method(
        run=lambda: rates.append(peak.multiply_adds_per_second(job.device)),
        cost=lambda: 0,
        facts=lambda: {"gmac_per_s": rates[-1] / 1e9},
    )


PREPARE: Mapping[str, Callable[[Job], Method]] = {
    rows.BICUBIC: plain.bicubic,
    rows.WHOLE: plain.whole,
    rows.TILE_BY_TILE: plain.tile_by_tile,
    rows.TILED: ours.tiled,
    rows.SEARCH: ours.search,
    rows.ROUTED: ours.routed,
    rows.PEAK: _peak,
}
