"""Claims about the files of a report."""

from __future__ import annotations

import json

import pytest
from documents import document, measured

from lowvision import report
from lowvision.errors import RunError


def test_the_json_file_equals_the_document(tmp_path):
    report.write(tmp_path, document(3), [], None)
    assert json.loads((tmp_path / "report.json").read_text()) == document(3)


def test_exactly_three_files_are_written(tmp_path):
    report.write(tmp_path / "new", document(3), [], tmp_path / "no pictures")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["report.html", "report.json", "report.txt"]


def test_infinite_values_are_null_in_json(tmp_path):
    report.write(tmp_path, document(0, odd=measured(float("inf"), shares=[float("nan")])), [], None)
    odd = json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)["sets"][0]["mean"]["odd"]
    assert odd["psnr_rgb@crop4"] is None
    assert odd["shares"] == [None]


def test_a_write_error_keeps_the_old_report(tmp_path, monkeypatch):
    report.write(tmp_path, document(2), [], None)

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lowvision.system.atomic.os.replace", refuse)
    with pytest.raises(RunError, match=r"report\.json: cannot write: No space left"):
        report.write(tmp_path, document(3), [], None)
    assert json.loads((tmp_path / "report.json").read_text()) == document(2)
    assert len(list(tmp_path.iterdir())) == 3
