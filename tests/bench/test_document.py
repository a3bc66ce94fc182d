"""Claims about the document of a bench: speeds are those of the fastest run, and what was not measured is None."""

from __future__ import annotations

from typing import Any

import pytest
import tiny

from lowvision.bench.document import LeftOut, Measured, Outcome, Size, document
from lowvision.bench.rows import Row
from lowvision.plugins import registry

KNOWN = registry.load()
SIZE, LARGE = Size(50, 40), Size(100, 80)
LOADED = {"gmac": 6.0, "rss_before_mib": 100.0}


def measured(method: str, runtime: str, seconds: tuple[float, ...], size: Size = SIZE, **more: Any) -> Measured:
    runs = [{"seconds": each, "peak_rss_mib": 200.0, "other_cores": 0.0, **more} for each in seconds]
    return Measured(Row(method, runtime), size, LOADED, runs)


ROUTED = {"shares": [0.5, 0.5], "branch_gmac": 5.0, "branch_seconds": 0.5, "decide_seconds": 0.1}
PEAK = Measured(Row("peak", "torch"), SIZE, {}, [{"gmac_per_s": 10.0}, {"gmac_per_s": 20.0}])


def written(*items: Measured, left_out: tuple[LeftOut, ...] = ()) -> dict[str, Any]:
    return document([Outcome(items, left_out)], tiny.architecture(), {"device": "cpu", "rounds": 2}, KNOWN)


def test_speeds_are_those_of_the_fastest_run() -> None:
    result = written(PEAK, measured("base_whole", "torch", (4.0, 2.0, 3.0)))
    (row,) = result["rows"]
    assert (row["seconds_min"], row["seconds_median"], row["gmac_per_s"]) == (2.0, 3.0, 3.0)
    assert row["mpixel_per_s"] == pytest.approx(50 * 40 * 2**2 / 1e6 / 2)
    assert row["share_of_peak"] == pytest.approx(3 / 20)
    assert result["peak_gmac_per_s"] == 20.0


def test_without_a_peak_there_is_no_share_of_it() -> None:
    result = written(measured("base_whole", "torch", (2.0,)))
    assert result["peak_gmac_per_s"] is result["rows"][0]["share_of_peak"] is None


def test_ratios_are_against_the_whole_base_of_each_runtime() -> None:
    result = written(
        measured("base_whole", "torch", (8.0,)),
        measured("base_whole", "openvino", (4.0,)),
        measured("routed", "openvino", (2.0,), **ROUTED, overhead_seconds=0.5),
    )
    row = result["rows"][2]
    names = ("torch", "torch_tuned", "same_runtime")
    assert [row[f"times_base_whole_{name}"] for name in names] == [4.0, None, 2.0]
    (comparison,) = result["comparisons"]
    assert comparison["best_runtime"] == "openvino"
    assert comparison["best_against_base_whole_same_runtime"] == 2.0
    assert comparison["torch_against_base_whole_torch"] is None
    assert result["overhead_share"] == row["overhead_share"] == 0.25


def test_the_best_routed_row_is_the_fastest_one() -> None:
    rows = [
        measured("routed", name, (s,), **ROUTED, overhead_seconds=0.1) for name, s in (("torch", 3.0), ("onnx", 2.0))
    ]
    result = written(measured("base_tiled", "torch", (6.0,)), *rows)
    (comparison,) = result["comparisons"]
    assert comparison["best_runtime"] == "onnx"
    assert comparison["torch_against_base_tiled_torch"] == 2.0


def test_interpolation_is_not_compared_with_networks() -> None:
    result = written(measured("base_whole", "torch", (8.0,)), measured("bicubic", "torch", (0.1,)))
    assert result["rows"][1]["times_base_whole_torch"] is None
    assert result["comparisons"] == []
    assert result["overhead_share"] is None


def test_rows_of_other_sizes_are_not_mixed() -> None:
    outcomes = [
        Outcome((measured("base_whole", "torch", (8.0,)),), ()),
        Outcome((measured("routed", "torch", (2.0,), LARGE, **ROUTED, overhead_seconds=0.1),), ()),
    ]
    result = document(outcomes, tiny.architecture(), {"device": "cpu"}, KNOWN)
    assert [row["size"] for row in result["rows"]] == ["50x40", "100x80"]
    assert result["rows"][1]["times_base_whole_torch"] is None
    assert result["overhead_share"] is None  # of the first size


def test_what_could_not_be_measured_is_listed_with_its_reason_also_alone() -> None:
    result = written(left_out=(LeftOut(Row("routed", "nope"), SIZE, "no runtime"),))
    assert result["left_out"] == [{"method": "routed", "runtime": "nope", "size": "50x40", "reason": "no runtime"}]
    assert (result["rows"], result["comparisons"], result["overhead_share"]) == ([], [], None)
