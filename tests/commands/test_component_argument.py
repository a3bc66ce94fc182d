"""Arguments that name a component are read as in a recipe, and errors begin with the argument."""

from __future__ import annotations

import pytest

from lowvision.commands.component_argument import choose_component, parse_component
from lowvision.errors import LowvisionError
from lowvision.plugins import registry

KNOWN = registry.load()


def test_a_text_argument_gives_the_same_component_as_its_value() -> None:
    value = {"denoise": {"sigma": 25}}
    parsed = parse_component("tasks", "{denoise: {sigma: 25}}", "--task", KNOWN)
    assert parsed == choose_component("tasks", value, "--task", KNOWN)
    assert KNOWN.serialize(parsed)["denoise"]["sigma"] == 25


@pytest.mark.parametrize("text", ["denoyse", "{denoise: {sigma: much}}", "{denoise: {}, sr: {}}", "3", "{"])
def test_an_invalid_text_is_an_error_that_names_the_argument(text: str) -> None:
    with pytest.raises(LowvisionError, match=r"^--task:"):
        parse_component("tasks", text, "--task", KNOWN)
