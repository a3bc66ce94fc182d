"""Claims about the tables of a bench."""

from __future__ import annotations

from typing import Any

import pytest
import tiny

from bench.test_document import LARGE, PEAK, ROUTED, measured
from lowvision.bench import table
from lowvision.bench.document import LeftOut, Measured, Outcome, document
from lowvision.bench.rows import Row
from lowvision.plugins import registry

FACTS = {"device": "cpu", "rounds": 2, "weights": "w.safetensors", "untrained": False}
ROUTED_ROW = measured("routed", "torch", (2.0,), **ROUTED, overhead_seconds=0.5)


def text(*items: Measured, left_out: tuple[LeftOut, ...] = (), **facts: Any) -> str:
    return table.text(document([Outcome(items, left_out)], tiny.architecture(), FACTS | facts, registry.load()))


def cells(printed: str, start: str) -> list[str]:
    return next(line for line in printed.splitlines() if line.startswith(start)).split()


def test_a_row_shows_time_speed_and_ratios() -> None:
    printed = text(PEAK, measured("base_whole", "torch", (4.0, 8.0)), ROUTED_ROW)
    assert cells(printed, "base whole")[3:9] == ["4.000", "6.000", "0.002", "6.000", "1.500", "8"]
    assert "50x40 -> 100x80" in printed
    assert "speed of routed in torch: 2.00 x base whole, torch\n" in printed
    assert "tiles 50% / 50%" in printed
    assert "classifier, tiling and blending 25.0% of the time" in printed


def test_interpolation_has_no_cost() -> None:
    row = cells(text(PEAK, measured("bicubic", "torch", (0.1,))), "bicubic")
    assert row[5:8] == ["-", "-", "-"]


def test_the_tiled_base_names_its_tiles() -> None:
    assert "base tiled, 4 x 64²" in text(measured("base_tiled", "torch", (2.0,), tile=64, batch=4))


def test_routed_alone_has_nothing_to_compare_with() -> None:
    assert "speed of routed in torch: nothing to compare with" in text(ROUTED_ROW)


@pytest.mark.parametrize(("cores", "warned"), [(0.1, False), (1.5, True)])
def test_a_busy_machine_is_reported(cores: float, warned: bool) -> None:
    printed = text(measured("base_whole", "torch", (2.0,), other_cores=cores))
    assert ("NOT QUIET: other processes kept up to 1.5 cores busy" in printed) == warned


def test_rows_left_out_have_a_reason_also_if_nothing_was_measured() -> None:
    printed = text(left_out=(LeftOut(Row("routed", "nope"), LARGE, "no runtime"),))
    assert "100x80 -> 200x160" in printed
    assert "left out: routed, nope: no runtime" in printed
    assert "peak: - GMAC per s" in printed


def test_untrained_networks_are_marked() -> None:
    assert "lowvision bench: w.safetensors (untrained)" in text(ROUTED_ROW, untrained=True)
    assert "(untrained)" not in text(ROUTED_ROW)
