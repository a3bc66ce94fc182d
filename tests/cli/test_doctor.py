"""Claims about `lowvision doctor` as a command."""

from __future__ import annotations

import json

import pytest

from cli.saying import Say


def test_doctor_exits_with_1_if_it_finds_a_problem(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWVISION_STRICT", "yes")
    said = say("doctor")
    assert said.code == 1
    assert "  LOWVISION_STRICT is 'yes'\n    set LOWVISION_STRICT to 1 or to 0, or unset it\n" in said.out
    said = say("doctor", "--json")
    assert said.code == 1
    assert "LOWVISION_STRICT is 'yes'" in [problem["what"] for problem in json.loads(said.out)["problems"]]


def test_doctor_exits_with_0_without_problems(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowvision.commands.doctor._conflicts", list)  # whatever else lies on this machine
    said = say("doctor")
    assert (said.code, said.out.splitlines()[-1]) == (0, "nothing wrong")
