"""Docstrings below attributes, also inherited ones, are read from source and equal those that pydantic finds."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from pydantic import ConfigDict, Field

from lowvision.config.options import Options, docstrings
from lowvision.plugins.contracts import Task


class Plain:
    """Options without fields."""

    told = 1
    """An attribute without annotation is no option."""


class Pair(Options):
    """Two options."""

    width: int = 8
    """How wide;
    in two lines."""
    depth: int = 2
    named: int = Field(default=1, description="Said by its field.")
    """And by its docstring, which gives way."""


class Subclass(Pair):
    """Options that document an inherited field."""

    depth: int = 3
    """How deep."""


def test_attributes_are_described_by_the_docstring_below_them() -> None:
    assert docstrings(Plain) == {}
    assert docstrings(Subclass)["depth"] == "How deep."
    assert Pair.described() == {"width": "How wide;\nin two lines.", "named": "Said by its field."}
    assert Subclass.described() == Pair.described() | {"depth": "How deep."}


def test_a_class_without_source_has_no_descriptions() -> None:
    namespace: dict[str, type[Options]] = {}
    exec('class Made(Pair):\n    more: int = 1\n    """Nobody finds this."""', {"Pair": Pair}, namespace)
    assert namespace["Made"].described() == Pair.described()


def test_a_class_whose_source_cannot_be_parsed_has_no_descriptions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "margin.py").write_text(
        "from lowvision import Options\n\n\ndef made():\n    class Made(Options):\n        more: int = 1\n"
        '        """One line,\nand one at the margin."""\n\n    return Made\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.import_module("margin").made().described() == {}


def test_the_schema_equals_that_of_pydantic() -> None:
    class Theirs(Task):
        """A task whose docstrings are read by pydantic."""

        model_config = ConfigDict(use_attribute_docstrings=True)
        radius: float = 1.0
        """Width of the spread."""

    class Ours(Task):
        """A task whose docstrings are read on demand."""

        radius: float = 1.0
        """Width of the spread."""

    theirs, ours = (kind.model_json_schema()["properties"] for kind in (Theirs, Ours))
    assert Theirs.model_fields["radius"].description == "Width of the spread."
    assert ours == theirs
    assert ours["channels"]["description"].startswith("Colour channels")


class Made(Options):
    """Options whose defaults are made by functions."""

    pairs: tuple[Pair, ...] = Field(default_factory=lambda: (Pair(), Pair(width=1)))
    """Made without knowledge of other options."""
    doubled: int = Field(default_factory=lambda validated: 2 * validated["pairs"][0].width)
    """Follows from another option."""


def test_the_schema_shows_made_defaults_unless_they_follow_from_other_options() -> None:
    properties = Made.model_json_schema()["properties"]
    assert properties["pairs"]["default"] == [pair.model_dump() for pair in (Pair(), Pair(width=1))]
    assert "default" not in properties["doubled"]
    assert Made().doubled == 16
