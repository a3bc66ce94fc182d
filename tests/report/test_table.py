"""Claims about the tables of reports: columns, number formats, labels and the sentences below them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from documents import document, measured
from hypothesis import given
from hypothesis import strategies as st

from lowvision.report import table


def column(mean: dict[str, Any], name: str, **metrics: Any) -> table.Column:
    return next(each for each in table.columns(mean, metrics) if each.name == name)


def mean(branches: int = 3, **more: Any) -> dict[str, Any]:
    return document(branches, **more)["sets"][0]["mean"]


def test_quality_comes_first_then_the_gain_then_costs_and_shares() -> None:
    names = [each.name for each in table.columns(mean(odd=measured(27.0, joules=3.0)))]
    quality, rest = names[: names.index("gain")], names[names.index("gain") :]
    assert all("@" in name for name in quality)
    assert rest == ["gain", "gmac", "share_of_base_whole", "share_of_base_tiled", "seconds", "joules", "shares"]


def test_every_column_has_a_cell_per_row_and_a_dash_where_nothing_was_measured() -> None:
    rows = mean()
    assert {len(each.cells) for each in table.columns(rows)} == {len(rows)}
    assert column(rows, "seconds").cells[0] == table.NOTHING


def test_gains_are_against_the_input_which_has_none() -> None:
    cells = dict(zip(mean(), column(mean(), "gain").cells, strict=True))
    assert (cells["input"], cells["base_whole"]) == (table.NOTHING, "+1.50")
    without = mean()
    del without["input"]
    assert "gain" not in [each.name for each in table.columns(without)]


def test_a_metric_whose_lower_values_are_better_is_marked_in_each_channel() -> None:
    rows = {"input": {"lpips@crop0": 0.25, "dist_y@crop0": 3.0, "distance@crop0": 1.0, "psnr_y@crop0": 30.0}}
    about = {"lpips": {"higher_is_better": False}, "dist": {"higher_is_better": False}}
    headings = {each.name: each.heading for each in table.columns(rows, about)}
    assert headings["lpips@crop0"] == ("LPIPS", "↓")
    assert headings["dist_y@crop0"] == ("DIST", "Y ↓")
    assert headings["distance@crop0"] == ("DISTANCE", "")
    assert headings["psnr_y@crop0"] == ("PSNR", "Y")


@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=5))
def test_a_column_shows_three_digits_of_its_smallest_value_and_at_most_three_decimals(values: list[float]) -> None:
    rows = {str(n): {"joules": value} for n, value in enumerate(values)}
    cells = column(rows, "joules").cells
    decimals = {len(cell.partition(".")[2]) for cell in cells}
    (places,) = decimals
    assert places <= 3
    smallest = min(values)
    assert places == 3 or round(smallest, places) >= 10 ** (2 - places) or smallest >= 100


@pytest.mark.parametrize("value", [None, math.nan, math.inf, True, "text", [1.0]])
def test_what_is_no_finite_number_becomes_a_dash(value: Any) -> None:
    assert table.number(value, ".2f") == table.NOTHING


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({}, "-"),
        ({"shares": []}, "-"),
        ({"shares": [0.25, 0.755]}, "25 / 76"),
        ({"shares": [0.02, None]}, " 2 /  -"),
        ({"shares": [0.2] * 5}, "20/20/20/20/20"),
    ],
)
def test_shares_are_percentages_per_branch(row: dict[str, Any], text: str) -> None:
    assert table.shares(row) == text


@pytest.mark.parametrize(
    ("method", "label"),
    [
        ("base_whole", "base (whole image)"),
        ("routed@0.6", "routed, budget 60%"),
        ("adaptive@0.25", "adaptive, budget 25%"),
        ("restore@fast", "restore, fast"),
        ("branch_2", "branch 2"),
        ("early_exit", "early exit"),
    ],
)
def test_a_method_has_a_label_for_people(method: str, label: str) -> None:
    assert table.label(method) == label


def test_an_exceeded_budget_names_the_images_and_the_reason() -> None:
    images = [{"routed@0.6": {"share_of_base_whole": share}} for share in (0.6, 0.61, 0.7, None)]
    image_set = {"mean": {"routed@0.6": {}, "routed": {}}, "images": images}
    assert table.excesses(image_set) == [
        "routed, budget 60%: over the budget on 2 of 3 images, on which no cheaper route exists."
    ]
    assert table.excesses({"mean": {"routed@0.9": {}}, "images": images}) == []


def test_the_verdict_compares_the_best_method_that_was_measured() -> None:
    assert table.verdict({"input": measured(26.0)}) == ""
    assert table.verdict(mean(0)) == "base (whole image): +1.50 dB against input."
    assert table.verdict({"input": {"seconds": 1.0}, "base_whole": {"seconds": 2.0}}) == ""


def test_the_verdict_states_the_slowest_speed_that_loses_something() -> None:
    speeds = {
        f"restore@{name}": measured(27.5 - loss, share_of_base_whole=share)
        for name, loss, share in (("fast", 0.3, 0.4), ("balanced", 0.05, 0.7), ("best", 0.0, 0.9))
    }
    assert table.verdict(mean(**speeds)).endswith(
        "restore, balanced: -0.05 dB against base (whole image), at 70.0% of its multiply-adds."
    )


def test_explanations_cover_the_methods_of_the_document_alone() -> None:
    texts = table.explanations(document(2, **{"routed@0.6": measured(27.0), "restore@fast": measured(27.0)}))
    assert {"routed", "branch k", "budget", "restore", "input"} <= texts.keys()
    assert "oracle" not in texts
    assert texts["input"] == "the input, enlarged by bicubic interpolation"
    assert table.explanations({**document(0), "baseline": "the median"})["input"] == "the median"


def test_the_protocol_states_crops_and_what_was_left_out() -> None:
    text = table.protocol(document(0))
    assert "with 4 pixels cropped at each border" in text
    assert "classifier" not in text
    assert "including tile overlap, for routed also the classifier" in table.protocol(document(2))
    changed = document(0)
    changed["sets"][0]["images"][0]["left_out"] = ["base_whole: out of memory"]
    assert table.protocol(changed).endswith(" Left out, without a mean: bird: base_whole: out of memory.")


def test_the_title_is_the_task_with_its_options_or_that_of_the_document() -> None:
    assert table.title(document()) == "sr, scale 4"
    assert table.title({"title": "sr x4", "task": {"sr": {}}}) == "sr x4"
