"""Claims about a whole bench: rows run in their own processes, in alternation, and give one document."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tiny

from lowvision.bench import measure, table, workers
from lowvision.bench.document import Size
from lowvision.bench.measure import BenchRequest
from lowvision.bench.rows import Row
from lowvision.bench.workers import RowError
from lowvision.errors import UsageError
from lowvision.plugins import registry

KNOWN = registry.load()


@pytest.fixture(scope="module")
def messages() -> list[str]:
    """Collect the messages of the bench."""
    return []


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory, messages: list[str]) -> dict[str, Any]:
    """Measure untrained networks of a recipe: two rows run, one cannot."""
    recipe = tmp_path_factory.mktemp("recipes") / "tiny.yml"
    recipe.write_text(tiny.RECIPE.replace("PHOTOS", str(recipe.parent)))
    rows = (Row("base_whole", "torch"), Row("routed", "nope"), Row("routed", "torch"))
    request = BenchRequest(recipe, (Size(64, 48),), rows, 2, "61,23,16")
    return measure.measure(request, KNOWN, messages.append)


def test_every_row_has_the_documented_figures(document: dict[str, Any]) -> None:
    assert document["schema"] == 1
    assert document["peak_gmac_per_s"] > 0
    assert document["untrained"]
    assert Path(document["weights"]).name == "tiny.yml"
    assert [(row["method"], row["runtime"]) for row in document["rows"]] == [
        ("base_whole", "torch"),
        ("routed", "torch"),
    ]
    for row in document["rows"]:
        assert 0 < row["seconds_min"] <= row["seconds_median"]
        assert len(row["seconds"]) == 2
        assert row["seconds_per_mpixel"] == pytest.approx(row["seconds_min"] / (128 * 96 / 1e6))
        assert row["mpixel_per_s"] == pytest.approx(1 / row["seconds_per_mpixel"])
        assert row["share_of_peak"] == pytest.approx(row["gmac"] / row["seconds_min"] / document["peak_gmac_per_s"])
        assert 50 < row["rss_before_mib"] <= row["peak_rss_mib"]
        assert row["times_base_whole_torch_tuned"] is None  # not requested
    whole, routed = document["rows"]
    assert whole["times_base_whole_torch"] == 1
    assert routed["times_base_whole_torch"] == pytest.approx(whole["seconds_min"] / routed["seconds_min"])


def test_the_routed_row_lists_the_time_of_each_part(document: dict[str, Any]) -> None:
    routed = document["rows"][1]
    assert routed["shares"] == pytest.approx((0.61, 0.23, 0.16), abs=0.05)
    assert document["overhead_share"] == routed["overhead_share"] > 0
    assert routed["share_of_peak_in_branches"] > 0
    (compared,) = document["comparisons"]
    assert compared["best_runtime"] == "torch"
    assert compared["torch_against_base_whole_torch"] == routed["times_base_whole_torch"]
    assert compared["torch_against_tile_by_tile"] is None  # not requested


def test_a_row_that_cannot_run_is_reported_and_omitted(document: dict[str, Any], messages: list[str]) -> None:
    (left_out,) = document["left_out"]
    assert (left_out["method"], left_out["runtime"], left_out["size"]) == ("routed", "nope", "64x48")
    assert "no runtime named 'nope'" in left_out["reason"]
    assert any("routed:nope is left out" in line for line in messages)


class FakeWorker:
    """A worker without a process that records its calls."""

    def __init__(self, events: list[str], fails_in_run: int | None):
        self._asked, self._fails_in_run, self._runs = events, fails_in_run, 0
        self._method = ""
        self.process_id = 0

    def warm_up(self, job: dict[str, Any]) -> dict[str, Any]:
        self._method = job["row"]["method"]
        self._asked.append(f"{self._method} warms up, {job['tiles']}")
        return {"gmac": 1.0, "rss_before_mib": 1.0, "peak_rss_mib": 2.0, "tile": 32, "batch": 4}

    def run(self) -> dict[str, Any]:
        self._runs += 1
        self._asked.append(self._method)
        if self._method == "bicubic" and self._runs == self._fails_in_run:
            raise RowError("out of memory")
        return {"seconds": 2.0 / self._runs, "peak_rss_mib": 2.0, "other_cores": 1.5, "gmac_per_s": 10.0 * self._runs}


@pytest.fixture
def worker_events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace worker processes by fakes, and return their recorded calls."""
    events: list[str] = []

    @contextmanager
    def started() -> Iterator[FakeWorker]:
        yield FakeWorker(events, fails_in_run=2)

    monkeypatch.setattr(workers, "started", started)
    return events


def test_rows_alternate_and_a_row_that_fails_later_is_omitted(weights_file: Path, worker_events: list[str]) -> None:
    rows = (Row("base_whole", "torch"), Row("bicubic", "torch"))
    document = measure.measure(BenchRequest(weights_file, (Size(8, 8),), rows, 3), KNOWN, lambda line: None)
    first, second, third = ["peak", "base_whole", "bicubic"], ["peak", "base_whole", "bicubic"], ["peak", "base_whole"]
    assert [event for event in worker_events if "warms" not in event] == [*first, *second, *third]
    assert [entry["reason"] for entry in document["left_out"]] == ["out of memory"]
    (row,) = document["rows"]
    assert (row["seconds_min"], row["seconds_median"]) == (2 / 3, 1.0)
    assert document["peak_gmac_per_s"] == 30.0
    assert "NOT QUIET: other processes kept up to 1.5 cores busy" in table.text(document)


def test_the_tiled_base_uses_the_tile_size_found_by_another_process(
    weights_file: Path, worker_events: list[str]
) -> None:
    measure.measure(
        BenchRequest(weights_file, (Size(8, 8),), (Row("base_tiled", "torch"),), 1), KNOWN, lambda line: None
    )
    assert [event for event in worker_events if "warms" in event][1:] == [
        "search warms up, None",
        "base_tiled warms up, {'size': 32, 'batch': 4}",
    ]


def test_the_table_prints_the_figures(document: dict[str, Any]) -> None:
    text = table.text(document)
    assert "64x48 -> 128x96" in text
    assert "tiny.yml (untrained)" in text
    assert "base whole" in text
    assert "left out: routed, nope: " in text
    assert all(len(line) <= 120 for line in text.splitlines() if not line.startswith(("left out", "lowvision")))
    nothing = table.text({**document, "peak_gmac_per_s": None, "rows": [], "comparisons": [], "overhead_share": None})
    assert "left out: routed, nope: " in nothing


def test_invalid_arguments_are_reported_before_measuring(weights_file: Path) -> None:
    assert measure.parse_size("960x540") == Size(960, 540)
    for size in ("960", "0x5", "960x540x3", "x", f"{'9' * 5000}x5"):
        with pytest.raises(UsageError, match="--size"):
            measure.parse_size(size)
    with pytest.raises(UsageError, match="2 values for 3 branches"):
        measure.measure(BenchRequest(weights_file, (Size(32, 24),), (), 1, "1,2"), KNOWN)
