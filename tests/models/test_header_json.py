"""Claims about the JSON of a header: what is no header is an error in one line with a way out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from lowvision.config.options import Options
from lowvision.errors import WeightsError
from lowvision.models import header_json

PATH = Path("w.safetensors")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=30) | VALUES.map(json.dumps))
def test_any_text_is_an_object_or_an_error_that_begins_with_the_file(text: str) -> None:
    try:
        value, message = header_json.parsed(text, PATH), ""
    except WeightsError as error:
        value, message = None, str(error)
    if message:
        assert re.fullmatch(r"w\.safetensors: its header .*; get the file again", message)
    else:
        assert value == json.loads(text)


def test_a_header_that_is_too_long_is_not_parsed() -> None:
    with pytest.raises(WeightsError, match=f"has {header_json.MAX_LENGTH + 2} characters, more than"):
        header_json.parsed("{" + " " * header_json.MAX_LENGTH + "}", PATH)


@settings(max_examples=40, deadline=None)
@given(VALUES)
def test_lists_become_tuples_at_any_depth_and_nothing_else_changes(value: Any) -> None:
    converted = header_json.with_tuples(value)
    assert json.loads(json.dumps(converted)) == json.loads(json.dumps(value))

    def has_list(part: Any) -> bool:
        parts = part.values() if isinstance(part, dict) else part if isinstance(part, tuple) else ()
        return isinstance(part, list) or any(has_list(each) for each in parts)

    assert not has_list(converted)


@pytest.mark.parametrize("version", ["1", 1.0, True, None])
def test_a_format_that_is_no_whole_number_is_damage(version: Any) -> None:
    with pytest.raises(WeightsError, match="format must be a whole number"):
        header_json.check_format({"format": version}, 1, PATH)


def test_an_older_or_equal_format_is_read_and_a_newer_one_names_the_upgrade() -> None:
    for raw in ({}, {"format": 1}, {"format": -3}):
        header_json.check_format(raw, 1, PATH)
    with pytest.raises(WeightsError, match=r"format 2 is newer than this lowvision reads \(1\); upgrade it"):
        header_json.check_format({"format": 2}, 1, PATH)


def test_missing_plugins_are_listed_in_the_way_out() -> None:
    raw = {"plugins": {"lowvision-sr": "0.1", "acme": "2"}}
    assert header_json.needs(raw) == "; it was made with lowvision-sr 0.1, acme 2: install those that are missing"


@settings(max_examples=40, deadline=None)
@given(VALUES)
def test_plugins_of_any_other_kind_are_not_mentioned(value: Any) -> None:
    text = header_json.needs({"plugins": value})
    assert bool(text) == (isinstance(value, dict) and bool(value))
    assert len(text) < 400


class Steps(Options):
    """Options with two bounds."""

    few: int = Field(default=1, ge=1)
    """A number."""
    more: tuple[int, ...] = Field(default=(1,), min_length=1)
    """Numbers."""


def test_the_reasons_are_one_line_and_a_short_list_is_only_named_alone() -> None:
    with pytest.raises(ValidationError) as both:
        Steps.model_validate({"few": 0, "more": ()})
    assert header_json.reasons(both.value) == "Input should be greater than or equal to 1"
    with pytest.raises(ValidationError) as short:
        Steps.model_validate({"more": ()})
    assert "at least 1 item" in header_json.reasons(short.value)
    assert "\n" not in header_json.reasons(short.value)
