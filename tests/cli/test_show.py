"""Claims about `lowvision show`."""

from __future__ import annotations

import json

import pytest

from cli.command_result import RunCommand, imports


def test_show_prints_a_network_with_options_and_cost(run_command: RunCommand) -> None:
    result = run_command("show", "fsrcnn", "channels=16", "--size", "64x48", "--scale", "2")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].startswith("fsrcnn: a backbone of lowvision-sr (lowvision-framework ")
    assert any(line.split()[:5] == ["channels", "whole", "number,", "at", "least"] for line in lines)
    assert "for sr (scale 2, channels 3), input 64x48" in lines[-1]


def test_show_prints_json(run_command: RunCommand) -> None:
    (document,) = json.loads(run_command("show", "fsrcnn", "--json").out)
    assert document["network"]["parameters"] > 0
    (document,) = json.loads(run_command("show", "sr_carn", "--json").out)
    assert document["kind"] == "recipe"


@pytest.mark.parametrize(
    "arguments", [("crn",), ("fsrcnn", "--size", "x"), ("fsrcnn", "channels=0"), ("fsrcnn", "--scale", "0")]
)
def test_invalid_arguments_are_reported(run_command: RunCommand, arguments: tuple[str, ...]) -> None:
    result = run_command("show", *arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err


def test_components_without_cost_are_shown_without_importing_torch() -> None:
    assert "torch" not in imports("show", "denoise")
