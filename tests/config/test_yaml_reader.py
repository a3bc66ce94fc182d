"""Claims about the strict reading and writing of YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lowvision.config import yaml_reader
from lowvision.errors import RecipeError

TRAPS = [
    "010",
    "0o10",
    "1e-4",
    "no",
    "on",
    "~",
    "null",
    "",
    "12:30",
    "*a",
    "&a",
    "!a",
    "<<",
    "=",
    "a: b",
    "# c",
    "\x85",
]
plain = st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False)
leaves = plain | st.text() | st.sampled_from(TRAPS)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def value_of(text: str) -> Any:
    return yaml_reader.parse(f"key: {text}", "f").value["key"]


def complaint(text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        yaml_reader.parse(text, "f.yml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-4", 1e-4), ("1E5", 1e5), ("-2.5e+3", -2500.0), (".5", 0.5), ("5.", 5.0), ("+4", 4), ("0", 0), ("-12", -12)],
)
def test_plain_numbers_are_parsed_as_numbers(text: str, number: float) -> None:
    assert value_of(text) == number
    assert type(value_of(text)) is type(number)


@pytest.mark.parametrize(
    "text", ["12:30:45", "2024-01-01", "yes", "no", "on", "off", "y", "1_000", ".inf", ".nan", "-"]
)
def test_values_that_other_yaml_readers_convert_stay_text(text: str) -> None:
    assert value_of(f"[{text}]" if text != "-" else "'-'") in (text, (text,))


@pytest.mark.parametrize("text", ["'1e-4'", '"true"', "'010'", "'~'"])
def test_quoted_values_are_parsed_as_text(text: str) -> None:
    assert value_of(text) == text.strip("'\"")


def test_only_true_and_false_are_booleans() -> None:
    assert value_of("[true, False, TRUE]") == (True, False, True)


@pytest.mark.parametrize("text", ["010", "-007", "0o10", "0x1F", "0b11"])
def test_numbers_that_yaml_readers_parse_differently_are_refused(text: str) -> None:
    assert complaint(f"a: 1\nb: {text}").startswith(f"f.yml:2: {text} is ambiguous")


def test_sequences_are_tuples() -> None:
    assert value_of("[1, [2, x], {y: [3]}]") == (1, (2, "x"), {"y": (3,)})


def test_every_key_and_item_has_a_line_number() -> None:
    source = yaml_reader.parse("a:\n  b: 1\nc:\n- x\n-\n  d: [1,\n   2]\n", "f.yml")
    lines = {".".join(map(str, path)): mark.line for path, mark in source.marks.items()}
    assert lines == {"": 1, "a": 1, "a.b": 2, "c": 3, "c.0": 4, "c.1": 6, "c.1.d": 6, "c.1.d.0": 6, "c.1.d.1": 7}
    assert str(source.marks["a", "b"]) == "f.yml:2"


def test_a_key_without_value_differs_from_null() -> None:
    source = yaml_reader.parse("a:\nb: null\nc: ~\n", "f")
    assert source.value == {"a": None, "b": None, "c": None}
    assert source.blank == {("a",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "f.yml:3: 'a' is given twice, first in line 1; keep one of them"),
        ("a: {b: 1, b: 2}", "f.yml:1: 'b' is given twice, first in line 1; keep one of them"),
        ("a: &x 1", "f.yml:1: &x is an anchor, which recipes do not allow; write the value out"),
        ("a: [*cat]", "f.yml:1: *cat is an alias, which recipes do not allow; quote it if it is text"),
        ("a: !!int 3", "f.yml:1: !!int is a tag, which recipes do not allow; quote it if it is text"),
        ("a: !!python/name:os.system x", "f.yml:1: !!python/name:os.system is a tag, which recipes do not allow; "),
        ("a:\n\tb: 1", "f.yml:2: a tab; indent with spaces"),
        ("a: b: c", "f.yml:1: a second ':' in one line, or a line indented too far"),
        ("a: 1\nb:2\n", "f.yml:2: a key without ': '"),
        ("a: [1, 2", "f.yml:1: while parsing a flow sequence, expected ',' or ']'"),
        ("[a]: 1", "f.yml:1: a key must be text"),
        ("a: 1\n---\nb: 2", "f.yml:2: expected a single document"),
        ("a: 1e999", "f.yml:1: 1e999 is too large for a number"),
        ("a: 1\nb: \x00", "f.yml:2: contains a character that YAML forbids"),
        ("[" * 5000, "f.yml: is nested too deeply to be a recipe"),
    ],
)
def test_invalid_yaml_is_reported_with_its_line(text: str, message: str) -> None:
    assert complaint(text).startswith(message)


def test_an_empty_text_is_parsed_as_none() -> None:
    assert yaml_reader.parse("# only a remark\n", "f").value is None


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yml").write_bytes("a: caf\xe9".encode("latin-1"))
    for name, message in {"none.yml": "no such file", "": "is a folder", "latin.yml": "not a text in UTF-8"}.items():
        with pytest.raises(RecipeError, match=message) as caught:
            yaml_reader.read(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name))


@given(values)
def test_dumped_values_are_read_back_unchanged(value: Any) -> None:
    assert yaml_reader.parse(yaml_reader.dump(value), "f").value == value


@pytest.mark.parametrize("text", [w for w in TRAPS if w != "1e-4"])  # which YAML 1.1 takes for text anyway
def test_pyyaml_reads_dumped_text_as_text(text: str) -> None:
    assert yaml.safe_load(yaml_reader.dump({"key": text})) == {"key": text}
