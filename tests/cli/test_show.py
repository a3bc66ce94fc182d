"""Claims about `lowvision show`."""

from __future__ import annotations

import json

import pytest

from cli.saying import Say, imports


def test_show_prints_a_network_with_options_and_cost(say: Say) -> None:
    said = say("show", "fsrcnn", "channels=16", "--size", "64x48", "--scale", "2")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0].startswith("fsrcnn: a backbone of lowvision-sr (lowvision-framework ")
    assert any(line.split()[:5] == ["channels", "whole", "number,", "at", "least"] for line in lines)
    assert "for sr (scale 2, channels 3), input 64x48" in lines[-1]


def test_show_prints_json(say: Say) -> None:
    (told,) = json.loads(say("show", "fsrcnn", "--json").out)
    assert told["network"]["parameters"] > 0
    (told,) = json.loads(say("show", "sr_carn", "--json").out)
    assert told["kind"] == "recipe"


@pytest.mark.parametrize(
    "words", [("crn",), ("fsrcnn", "--size", "x"), ("fsrcnn", "channels=0"), ("fsrcnn", "--scale", "0")]
)
def test_invalid_arguments_are_reported(say: Say, words: tuple[str, ...]) -> None:
    said = say("show", *words)
    assert (said.code, said.out) == (2, "")
    assert said.err


def test_components_without_cost_are_shown_without_importing_torch() -> None:
    assert "torch" not in imports("show", "denoise")
