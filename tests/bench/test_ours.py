"""Claims about the methods of the engine: the tiled base, the search for its tiles, and routing."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_jobs import job, restored

from lowvision.bench import methods, rows
from lowvision.bench.job import Tiles


@pytest.mark.parametrize("tiles", [None, Tiles(32, 2)])
def test_the_tiled_base_approximates_the_whole_image(weights_file: Path, tiles: Tiles | None) -> None:
    tiled, whole = restored(job(weights_file, "base_tiled", tiles=tiles)), restored(job(weights_file, "base_whole"))
    assert (tiled - whole).abs().mean() < 0.01


def test_the_tile_size_search_returns_at_most_the_image_size(weights_file: Path) -> None:
    method = methods.prepare(job(weights_file, rows.SEARCH))
    method.run()
    facts = method.facts()
    assert facts["tile"] in (16, 32)
    assert facts["batch"] >= 1


def test_a_routed_run_lists_the_time_of_each_part(weights_file: Path) -> None:
    method = methods.prepare(job(weights_file, "routed", shares=(0.5, 0.3, 0.2)))
    method.run()
    facts = method.facts()
    assert facts["shares"] == pytest.approx((0.5, 0.3, 0.2), abs=0.05)
    assert 0 < facts["branch_gmac"] < method.cost() / 1e9
    assert facts["branch_seconds"] > 0
    assert facts["decide_seconds"] > 0
    assert facts["overhead_seconds"] > 0
