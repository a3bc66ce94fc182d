"""Claims about the messages that report the errors of a recipe."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import Field, ValidationError, model_validator

from lowvision.config import validation
from lowvision.config.options import Options
from lowvision.config.validation import ValidationIssue


class Inner(Options):
    width: int = 1


class Sample(Options):
    whole: int = Field(default=2, ge=0, multiple_of=2)
    number: float = Field(default=1.0, gt=0, le=5)
    text: str = ""
    flag: bool = False
    pair: tuple[float, float] = (0.0, 1.0)
    some: tuple[int, ...] = Field(default=(1,), min_length=1)
    word: Literal["one", "two", 3] = "one"
    either: float | tuple[int, int] = 1.0
    inner: Inner = Inner()
    inners: tuple[Inner, ...] = ()


def error_messages(**options: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate(options)
    errors = validation.from_error(caught.value, Sample, options)
    return {".".join(map(str, complaint.path)): complaint.message for complaint in errors}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("whole", "3", "must be a whole number, not '3'"),
        ("whole", 1e3, "must be a whole number, not 1000.0; write 1000"),
        ("whole", 1.5, "must be a whole number, not 1.5"),
        ("whole", None, "must be a whole number, not nothing"),
        ("whole", True, "must be a whole number, not true"),
        ("whole", -2, "must be at least 0, not -2"),
        ("whole", 3, "must be a multiple of 2, not 3"),
        ("number", "1e-4", "must be a number, not '1e-4'"),
        ("number", 0, "must be more than 0, not 0"),
        ("number", 6, "must be at most 5, not 6"),
        ("number", {"a": 1}, "must be a number, not a mapping of a"),
        ("text", 3, "must be text, not 3"),
        ("flag", "yes", "must be true or false, not 'yes'"),
        ("pair", 3, "must be a list, not 3"),
        ("pair", (1, 2, 3), "must be a list of at most 2, not [1, 2, 3]"),
        ("pair", (1,), "has too few values"),
        ("some", (), "must be a list of at least 1, not []"),
        ("word", "tow", "must be 'one', 'two' or 3, not 'tow' (did you mean 'two'?)"),
        ("either", "x", "must be a number, not 'x'; or must be a list, not 'x'"),
        ("inner", 3, "must be a mapping of options, not 3"),
        ("colour", 3, "unknown key; there are whole, number, text, flag, pair, some, word, either, inner, inners"),
        ("txet", 3, "unknown key (did you mean 'text'?)"),
    ],
)
def test_an_error_is_reported_in_a_plain_sentence(name: str, value: Any, sentence: str) -> None:
    assert error_messages(**{name: value}) == {name: sentence}


def test_a_hint_names_the_fields_of_the_model_at_the_error() -> None:
    assert error_messages(inner={"widht": 1}, inners=({}, {"widht": 1})) == {
        "inner.widht": "unknown key (did you mean 'width'?)",
        "inners.1.widht": "unknown key (did you mean 'width'?)",
    }


def test_a_list_is_not_called_too_short_because_its_items_are_invalid() -> None:
    assert error_messages(some=("x",)) == {"some.0": "must be a whole number, not 'x'"}


def test_messages_of_a_validator_are_unchanged() -> None:
    error = validation.as_error("Sample", [ValidationIssue(("inner", "width"), "is {odd}")])
    assert validation.from_error(error, Sample, {"inner": {"width": 1}}) == [
        ValidationIssue(("inner", "width"), "is {odd}")
    ]


def test_long_values_are_cut_short() -> None:
    assert len(error_messages(whole="x" * 1000)["whole"]) < 120
    assert len(error_messages(whole=tuple(range(1000)))["whole"]) < 120


def test_two_issues_of_one_place_are_two_issues_and_no_alternatives() -> None:
    class Needy(Options):
        """Options that need two things."""

        number: int = 0
        """A number."""

        @model_validator(mode="after")
        def _needs(self) -> Needy:
            issues = ("needs data.valid", "needs a classifier")
            raise validation.as_error("Needy", [ValidationIssue((), message) for message in issues])

    with pytest.raises(ValidationError) as error:
        Needy(number=1)
    assert [issue.message for issue in validation.from_error(error.value, Needy, {"number": 1})] == [
        "needs data.valid",
        "needs a classifier",
    ]


def test_a_value_with_an_error_inside_is_not_compared_with_the_other_types_of_its_field() -> None:
    assert error_messages(either=(1, "x")) == {"either.1": "must be a whole number, not 'x'"}
    assert error_messages(either={"x": 1}) == {
        "either": "must be a number, not a mapping of x; or must be a list, not a mapping of x"
    }
