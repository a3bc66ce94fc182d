"""Claims about the report as text."""

from __future__ import annotations

import pytest
from documents import document, measured

from lowvision import report

SPEEDS = {"fast": 0.3, "balanced": 0.71, "best": 0.9}
"""Share of the base's cost at each speed, as measured."""


def line_of(label: str, text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(label))


def test_a_row_shows_quality_gain_cost_and_shares():
    row = line_of("routed  ", report.text(document(3))).split()
    assert " ".join(row) == "routed 27.38 28.88 0.8000 +1.38 1.80 90.0% 75.0% 0.350 33 / 33 / 33"


@pytest.mark.parametrize("branches", [0, 1, 3, 8])
def test_the_text_report_fits_into_120_columns(branches):
    text = report.text(document(branches, name="a/very/deep/folder/of/photographs/with/a/long/name"))
    assert max(map(len, text.splitlines())) <= 120


def test_without_a_container_the_report_does_not_mention_routing():
    text = report.text(document(0))
    assert "routed" not in text
    assert "branch" not in text
    assert "base (whole image): +1.50 dB against input." in text


def test_an_unknown_row_is_printed_like_any_other():
    text = report.text(document(2, early_exit=measured(27.2, gmac=1.0, joules=3.5)))
    assert "early exit" in text
    assert "joules" in text


def test_rows_keep_the_order_of_the_document():
    text = report.text(document(2))
    labels = ["input", "base (whole image)", "base (tiled)", "routed", "random routing", "branch 0", "branch 1"]
    positions = [text.index(f"\n{label} ") for label in labels]
    assert positions == sorted(positions)


def test_columns_are_aligned():
    lines = report.text(document(3)).splitlines()
    rule = next(n for n, line in enumerate(lines) if line.startswith("─"))
    assert {len(line) for line in lines[rule - 1 : rule + 9]} == {len(lines[rule])}


def test_the_summary_compares_with_input_base_and_random_routing():
    text = " ".join(report.text(document(3)).split())
    assert (
        "routed: +1.38 dB against input, -0.02 dB against base (tiled), +0.28 dB against random routing, "
        "at 75.0% of the tiled base's multiply-adds." in text
    )


def test_the_input_row_of_a_same_size_task_is_not_called_enlarged():
    text = report.text(document(2) | {"task": {"denoise": {"sigma": 25}}})
    assert "the input itself" in text


def test_the_report_states_the_protocol():
    assert "4 pixels cropped at each border" in report.text(document(2))


def test_a_grey_set_is_reported_in_luma():
    changed = document(2)
    for row in changed["sets"][0]["mean"].values():
        del row["psnr_rgb@crop4"]
    assert line_of("routed  ", report.text(changed)).split()[1:4] == ["28.88", "0.8000", "+1.38"]


def test_a_number_that_is_not_finite_is_a_dash():
    assert line_of("input", report.text(document(0, input=measured(float("nan"))))).split()[1] == "-"


def test_a_set_without_images_is_reported_without_error():
    assert "birds (0 images)" in report.text(
        {"schema": 1, "task": {"sr": {}}, "sets": [{"name": "birds", "images": [], "mean": {}}]}
    )


def test_budgets_and_other_classifiers_are_described_in_words():
    rows = {"ruler": measured(27.2), "oracle": measured(27.5), "routed@0.55": measured(27.0)}
    text = " ".join(report.text({**document(2, **rows), "classifiers": {"ruler": "Measures tiles."}}).split())
    assert "routed, budget 55%" in text
    assert "ruler Measures tiles; within the cost of routed" in text
    assert "budget as `restore --budget`: merged tiles" in text
    assert "an upper bound" in text


def test_the_summary_compares_the_restore_default_with_the_base_on_the_whole_image():
    rows = {f"restore@{speed}": measured(28.0, share_of_base_whole=share) for speed, share in SPEEDS.items()}
    text = " ".join(report.text(document(2, **rows)).split())
    assert "restore, balanced: +0.50 dB against base (whole image), at 71.0% of its multiply-adds." in text
    assert "restore as `lowvision restore --speed`: merged tiles" in text
    assert "restore, fast:" not in text
    assert "restore, fast" in text


def test_a_budget_that_was_exceeded_is_reported_with_its_reason():
    within, over = measured(27.0, share_of_base_whole=0.6), measured(27.0, share_of_base_whole=0.655)
    adaptive = measured(27.0, share_of_base_whole=0.9, share_of_base_tiled=0.52)
    text = " ".join(report.text(document(2, **{"routed@0.6": over, "adaptive@0.5": adaptive})).split())
    assert "routed, budget 60%: over the budget on 1 of 1 images, on which no cheaper route exists." in text
    assert "adaptive, budget 50%: over the budget on 1 of 1 images, because the setting was calibrated on" in text
    assert "over the budget" not in report.text(document(2, **{"routed@0.6": within}))


def test_the_input_row_is_described_by_the_task_that_made_it():
    text = report.text(document(2) | {"baseline": "without a network: the guided filter"})
    assert "without a network: the guided filter" in text
    assert "bicubic" not in text


def test_a_title_of_the_document_stands_in_place_of_the_options_of_the_task():
    assert report.text(document(0)).startswith("lowvision report: sr, scale 4\n")
    told = report.text({**document(0), "title": "chain, of [blur, noise]"})
    assert told.startswith("lowvision report: chain, of [blur, noise]\n")
    long = report.text({**document(0), "title": f"chain, of [{', '.join(['noise'] * 60)}]"})
    assert max(map(len, long.splitlines())) <= 120
