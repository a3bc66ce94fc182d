"""Fixtures for the tests of commands: the command line in this process, and a recipe."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cli.command_result import CommandResult, RunCommand
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
def run_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunCommand:
    def run(*arguments: str) -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["lowvision", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        printed = capsys.readouterr()
        return CommandResult(int(stopped.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "r.yml"
    path.write_text(RECIPE)
    return path
