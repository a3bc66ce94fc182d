"""Claims about a measurement of fidelity as text, and the picture of its worst tiles."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from lowvision.evaluation import fidelity_report
from lowvision.evaluation.fidelity import FidelityMeasurement, Pictures, WorstTile
from lowvision.evaluation.fidelity_report import GAP, HEADER, SIDE


def row(max_loss: float | None, **changes: Any) -> dict[str, Any]:
    figures = {"seconds": 2.0, "times_faster": 4.0, "psnr_to_teacher": 41.0, "psnr_to_teacher_worst": 39.5}
    return {"max_loss": max_loss, **figures, "tile_loss_p99": 1.5, "shares": [0.75, 0.25], "seams": None, **changes}


def document(**changes: Any) -> dict[str, Any]:
    photographs = [{"name": "a", "height": 1000, "width": 2000}, {"name": "b", "height": 500, "width": 1000}]
    place = {"runtime": "openvino", "teacher_runtime": "openvino", "device": "cpu", "threads": 2}
    rows = [row(None, seconds=8.0), row(0.3), row(0.1234, seams=1.01)]
    return {
        "photographs": photographs,
        "max_loss": 0.3,
        "requested": 1,
        "rows": rows,
        **place,
        **changes,
    }


def test_the_protocol_and_every_row_are_printed() -> None:
    lines = fidelity_report.text(document()).splitlines()
    assert lines[0].startswith(
        "2 photographs held out, 2.50 megapixels of their centres in all; openvino on cpu, 2 threads; "
    )
    rows = [" ".join(line.split()) for line in lines]
    assert "teacher, whole image 8.00 1.00" in rows
    assert "--max-loss 0.3 * 2.00 4.00 41.00 39.50 1.50 dB 25%" in rows
    assert "--max-loss 0.124 2.00 4.00 41.00 39.50 1.50 dB 25% 1.010" in rows
    assert any(line.startswith("* the point of --max-loss 0.3.") for line in lines)


def test_the_last_row_names_every_tile_by_the_teacher_instead_of_a_loss() -> None:
    *rows, last = document()["rows"]
    all_its_own = [{**last, "max_loss": loss, "shares": [0.0, 1.0]} for loss in (0.05, 0.0)]
    text = fidelity_report.text(document(rows=[*rows, *all_its_own]))
    assert text.count("every tile by the teacher") == 1
    assert "--max-loss 0.05 " in text
    assert "--max-loss 0 " not in text


def test_one_small_photograph_is_named_as_too_little() -> None:
    photograph = {**document()["photographs"][0], "height": 116, "width": 116}
    lines = fidelity_report.text(document(photographs=[photograph])).splitlines()
    assert lines[0].startswith("1 photograph held out, 0.01 megapixels")
    assert any("few pixels" in line for line in lines)


def test_another_runtime_of_the_teacher_alone_is_named() -> None:
    note = "The teacher alone is run by torch: openvino cannot run it whole."
    assert note in fidelity_report.text(document(teacher_runtime="torch"))
    assert note not in fidelity_report.text(document())


@given(st.floats(0, 10))
def test_a_printed_loss_allows_the_point_that_it_names(loss: float) -> None:
    printed = float(fidelity_report._up(loss))
    assert loss - 1e-9 <= printed <= loss + 0.0011


def pictures(side: int, level: float) -> Pictures:
    """Return a black input, a teacher of one level, and a white routed image."""
    teacher = torch.full((3, side, side), level)
    return Pictures(torch.zeros(3, side // 2, side // 2), teacher, torch.ones(3, side, side))


def test_the_sheet_shows_the_worst_tiles_at_most_two_of_a_photograph() -> None:
    worst = [WorstTile(0, 0, 0, 9.0), WorstTile(0, 8, 8, 8.0), WorstTile(0, 8, 0, 7.0), WorstTile(1, 200, 200, 6.0)]
    measurement = FidelityMeasurement({}, (pictures(320, 0.2), pictures(320, 0.6)), tuple(worst))
    page = fidelity_report.sheet(measurement, 5)
    assert page.shape == (HEADER + 3 * (SIDE + GAP), 3 * SIDE + 2 * GAP, 3)
    rows = page[HEADER + SIDE // 2 :: SIDE + GAP]
    for level, line in zip((51, 51, 153), rows, strict=True):
        centres = line[SIDE // 2 :: SIDE + GAP, 0]
        assert centres.tolist() == [0, level, 255]


def test_an_image_smaller_than_a_crop_is_repeated_at_its_edges() -> None:
    measurement = FidelityMeasurement({}, (pictures(20, 0.2),), (WorstTile(0, 4, 4, 1.0),))
    page = fidelity_report.sheet(measurement, 1)
    assert (page[HEADER : HEADER + SIDE, :SIDE] == 0).all()


def test_grey_images_are_shown_in_three_channels() -> None:
    grey = Pictures(torch.zeros(1, 100, 100), torch.full((1, 200, 200), 0.2), torch.ones(1, 200, 200))
    page = fidelity_report.sheet(FidelityMeasurement({}, (grey,), (WorstTile(0, 0, 0, 1.0),)), 1)
    assert (page[HEADER + 5, SIDE + GAP + 5] == 51).all()
