"""Every way to restore, by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lowvision.bench import ours, peak, plain, rows
from lowvision.bench.job import Job, Way
from lowvision.system.allocator import keep_memory


def prepare(job: Job) -> Way:
    """The networks are loaded and handed to their runtime, but nothing has run.

    Raises LowvisionError where that row cannot be, and whatever a runtime raises.
    """
    return PREPARE[job.row.what](job)


def _peak(job: Job) -> Way:
    """No way to restore, but measured in turn with them: what the machine can do changes with its surroundings."""
    keep_memory()
    found: list[float] = []
    return Way(
        run=lambda: found.append(peak.multiply_adds_per_second()),
        cost=lambda: 0,
        facts=lambda: {"gmac_per_s": found[-1] / 1e9},
    )


PREPARE: Mapping[str, Callable[[Job], Way]] = {
    rows.BICUBIC: plain.bicubic,
    rows.WHOLE: plain.whole,
    rows.TILE_BY_TILE: plain.tile_by_tile,
    rows.TILED: ours.tiled,
    rows.SEARCH: ours.search,
    rows.ROUTED: ours.routed,
    rows.PEAK: _peak,
}
