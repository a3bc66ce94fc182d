"""Claims about the files of a report."""

from __future__ import annotations

import json

import pytest
from documents import document, measured

from lowvision import report
from lowvision.errors import RunError


def test_the_json_is_the_document(tmp_path):
    report.write(tmp_path, document(3), [], None)
    assert json.loads((tmp_path / "report.json").read_text()) == document(3)


def test_three_files_and_nothing_else_are_left(tmp_path):
    report.write(tmp_path / "new", document(3), [], tmp_path / "no pictures")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["report.html", "report.json", "report.txt"]


def test_json_knows_no_infinity(tmp_path):
    report.write(tmp_path, document(0, odd=measured(float("inf"), shares=[float("nan")])), [], None)
    odd = json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)["sets"][0]["mean"]["odd"]
    assert odd["psnr_rgb@crop4"] is None
    assert odd["shares"] == [None]


def test_a_failing_disk_leaves_the_old_report(tmp_path, monkeypatch):
    report.write(tmp_path, document(2), [], None)

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lowvision.system.atomic.os.replace", refuse)
    with pytest.raises(RunError, match=r"report\.json: cannot write: No space left"):
        report.write(tmp_path, document(3), [], None)
    assert json.loads((tmp_path / "report.json").read_text()) == document(2)
    assert len(list(tmp_path.iterdir())) == 3
