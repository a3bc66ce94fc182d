"""Claims about options as `show` prints them."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
import toys
from pydantic import Field

from lowvision.commands.show import options
from lowvision.config.options import Options
from lowvision.models.architecture import Architecture


class Inner(Options):
    """A nested options model."""

    size: int = 1


class Everything(Options):
    """Options of every type."""

    whole: int = Field(default=3, ge=1, le=9)
    """A number of
    things."""
    part: float = Field(gt=0, lt=1)
    word: str | None = None
    either: Literal["a", "b"] = "a"
    one: Literal[1] = 1
    flag: bool = False
    pair: Annotated[float, Field(ge=0)] | tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]] = 1.0
    several: tuple[int, ...] = (1, 2)
    inner: Inner = Inner()


KINDS = {
    "whole": "whole number, at least 1, at most 9",
    "part": "number, more than 0, less than 1",
    "word": "text",
    "either": "a, b",
    "one": "1",
    "flag": "true or false",
    "pair": "number, at least 0, or list of 2: number, at least 0",
    "several": "list of whole number",
    "inner": "mapping",
}


@pytest.mark.parametrize("name", KINDS)
def test_a_type_is_described_in_words(name: str) -> None:
    options_by_name = {option["name"]: option["type"] for option in options.documents(Everything)}
    assert options_by_name.keys() == KINDS.keys()
    assert options_by_name[name] == KINDS[name]


def test_an_option_shows_default_and_description_or_is_required() -> None:
    options_by_name = {option["name"]: option for option in options.documents(Everything)}
    assert options_by_name["whole"].items() >= {"required": False, "default": 3, "about": "A number of things."}.items()
    assert options_by_name["part"]["required"]
    assert options_by_name["word"]["default"] is None
    assert options_by_name["several"]["default"] == [1, 2]
    assert options_by_name["inner"]["default"] == {"size": 1}


def test_a_choice_is_described_by_its_kind() -> None:
    options_by_name = {option["name"]: option["type"] for option in options.documents(Architecture)}
    assert options_by_name["task"] == "choice of tasks"
    assert options_by_name["branches"] == "list of choice of backbones"


def test_a_component_without_options_lists_none() -> None:
    assert options.documents(toys.Layers) == []
    assert options.documents(int) == []
