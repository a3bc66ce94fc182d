"""Claims about `lowvision doctor` as a command."""

from __future__ import annotations

import json

import pytest

from cli.command_result import RunCommand


def test_doctor_exits_with_1_if_it_finds_a_problem(run_command: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWVISION_STRICT", "yes")
    result = run_command("doctor")
    assert result.code == 1
    assert "  LOWVISION_STRICT is 'yes'\n    set LOWVISION_STRICT to 1 or to 0, or unset it\n" in result.out
    result = run_command("doctor", "--json")
    assert result.code == 1
    assert "LOWVISION_STRICT is 'yes'" in [problem["problem"] for problem in json.loads(result.out)["problems"]]


def test_doctor_exits_with_0_without_problems(run_command: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowvision.commands.doctor._conflicts", list)  # independent of other packages of this machine
    result = run_command("doctor")
    assert (result.code, result.out.splitlines()[-1]) == (0, "nothing wrong")
