"""Fixtures for the tests of commands: the command line in this process, and a recipe."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cli.saying import Said, Say
from lowvision.cli import main

RECIPE = """\
task: sr
backbone: carn
reduce: {channels: [36, 52, 64]}
classifier: class_module
data: {train: ./photos, valid: ./photos, test: ./photos}
stages: {base: {steps: 10}}
"""


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["lowvision", *words])
        with pytest.raises(SystemExit) as stopped:
            main()
        printed = capsys.readouterr()
        return Said(int(stopped.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "r.yml"
    path.write_text(RECIPE)
    return path
