"""Claims about the report as text."""

from __future__ import annotations

import pytest
from documents import document, measured

from lowvision import report

SPEEDS = {"fast": 0.3, "balanced": 0.71, "best": 0.9}
"""Share of the base's cost at each speed of restoring, as in a measurement."""


def line_of(label: str, told: str) -> str:
    return next(line for line in told.splitlines() if line.startswith(label))


def test_a_row_tells_quality_gain_cost_and_shares():
    row = line_of("routed  ", report.text(document(3))).split()
    assert " ".join(row) == "routed 27.38 28.88 0.8000 +1.38 1.80 90.0% 75.0% 0.350 33 / 33 / 33"


@pytest.mark.parametrize("branches", [0, 1, 3, 8])
def test_it_fits_into_120_columns(branches):
    told = report.text(document(branches, name="a/very/deep/folder/of/photographs/with/a/long/name"))
    assert max(map(len, told.splitlines())) <= 120


def test_without_a_container_nothing_is_said_of_routing():
    told = report.text(document(0))
    assert "routed" not in told
    assert "branch" not in told
    assert "base (whole image): +1.50 dB against input." in told


def test_a_way_that_nobody_foresaw_is_a_row_like_any_other():
    told = report.text(document(2, early_exit=measured(27.2, gmac=1.0, joules=3.5)))
    assert "early exit" in told
    assert "joules" in told


def test_rows_stand_in_the_order_of_the_document():
    told = report.text(document(2))
    labels = ["input", "base (whole image)", "base (tiled)", "routed", "random routing", "branch 0", "branch 1"]
    found = [told.index(f"\n{label} ") for label in labels]
    assert found == sorted(found)


def test_columns_are_aligned():
    lines = report.text(document(3)).splitlines()
    rule = next(n for n, line in enumerate(lines) if line.startswith("─"))
    assert {len(line) for line in lines[rule - 1 : rule + 9]} == {len(lines[rule])}


def test_the_verdict_compares_with_input_base_and_lot():
    told = " ".join(report.text(document(3)).split())
    assert (
        "routed: +1.38 dB against input, -0.02 dB against base (tiled), +0.28 dB against random routing, "
        "at 75.0% of the tiled base's multiply-adds." in told
    )


def test_the_input_of_a_task_that_keeps_the_size_is_not_called_enlarged():
    told = report.text(document(2) | {"task": {"denoise": {"sigma": 25}}})
    assert "the input itself" in told


def test_the_protocol_is_told():
    assert "4 pixels cropped at each border" in report.text(document(2))


def test_a_grey_set_is_told_in_luma():
    given = document(2)
    for row in given["sets"][0]["mean"].values():
        del row["psnr_rgb@crop4"]
    assert line_of("routed  ", report.text(given)).split()[1:4] == ["28.88", "0.8000", "+1.38"]


def test_a_number_that_is_not_finite_is_a_dash():
    assert line_of("input", report.text(document(0, input=measured(float("nan"))))).split()[1] == "-"


def test_a_set_without_images_is_no_accident():
    assert "birds (0 images)" in report.text(
        {"schema": 1, "task": {"sr": {}}, "sets": [{"name": "birds", "images": [], "mean": {}}]}
    )


def test_budgets_and_other_classifiers_are_told_in_words():
    ways = {"ruler": measured(27.2), "oracle": measured(27.5), "routed@0.55": measured(27.0)}
    told = " ".join(report.text({**document(2, **ways), "classifiers": {"ruler": "Measures tiles."}}).split())
    assert "routed, budget 55%" in told
    assert "ruler Measures tiles; within the cost of routed" in told
    assert "budget as `restore --budget`: merged tiles" in told
    assert "an upper bound" in told


def test_the_verdict_compares_the_default_of_restore_with_the_base_on_the_whole_image():
    ways = {f"restore@{speed}": measured(28.0, share_of_base_whole=share) for speed, share in SPEEDS.items()}
    told = " ".join(report.text(document(2, **ways)).split())
    assert "restore, balanced: +0.50 dB against base (whole image), at 71.0% of its multiply-adds." in told
    assert "restore as `lowvision restore --speed`: merged tiles" in told
    assert "restore, fast:" not in told
    assert "restore, fast" in told


def test_a_budget_that_was_exceeded_is_reported_with_its_reason():
    within, over = measured(27.0, share_of_base_whole=0.6), measured(27.0, share_of_base_whole=0.655)
    adaptive = measured(27.0, share_of_base_whole=0.9, share_of_base_tiled=0.52)
    told = " ".join(report.text(document(2, **{"routed@0.6": over, "adaptive@0.5": adaptive})).split())
    assert "routed, budget 60%: over the budget on 1 of 1 images, on which no cheaper route exists." in told
    assert "adaptive, budget 50%: over the budget on 1 of 1 images, because the setting was calibrated on" in told
    assert "over the budget" not in report.text(document(2, **{"routed@0.6": within}))


def test_the_input_row_is_described_by_the_task_that_made_it():
    told = report.text(document(2) | {"baseline": "without a network: the guided filter"})
    assert "without a network: the guided filter" in told
    assert "bicubic" not in told


def test_a_title_of_the_document_stands_in_place_of_the_options_of_the_task():
    assert report.text(document(0)).startswith("lowvision report: sr, scale 4\n")
    told = report.text({**document(0), "title": "chain, of [blur, noise]"})
    assert told.startswith("lowvision report: chain, of [blur, noise]\n")
