"""Validation issues: plain messages with their key paths, made from pydantic's errors."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import filterfalse
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

if TYPE_CHECKING:  # importing yaml takes as long as this whole package
    from lowvision.config.yaml_reader import KeyPath

PLAIN = "plain_message"
"""The pydantic error type, and its context key, of an issue that already has its final message."""
PLAIN_TYPES = ("literal_error", "string_type", "int_type", "float_type", "bool_type")
"""Pydantic's error types of fields that hold neither a mapping nor a list."""
MISSING = "is missing"
"""Message about a required option; its path names the key that is absent."""


@dataclass(frozen=True)
class ValidationIssue:
    """One problem: its key path in the recipe, and a message with the way out."""

    path: KeyPath
    message: str

    def below(self, *path: str | int) -> ValidationIssue:
        """Return the same issue with `path` prepended to its path."""
        return ValidationIssue((*path, *self.path), self.message)


def as_error(title: str, issues: Iterable[ValidationIssue]) -> ValidationError:
    """Return an error that a pydantic validator may raise; it keeps the paths of the issues."""
    return ValidationError.from_exception_data(
        title,
        [
            # The message stands in the context: pydantic would fill in braces in a template.
            InitErrorDetails(
                type=PydanticCustomError(PLAIN, f"{{{PLAIN}}}", {PLAIN: issue.message}), loc=issue.path, input=None
            )
            for issue in issues
        ],
    )


def from_error(error: ValidationError, model: type[BaseModel], value: Any) -> list[ValidationIssue]:
    """Return the issues in an error that `model` raised about `value`; the alternatives of a field are one issue."""
    messages: dict[KeyPath, dict[tuple[Any, ...], list[str]]] = {}
    for details in (remaining := [*filterfalse(_counts_invalid_items, error.errors())]):
        path = _path_in(value, details)
        same_place = messages.setdefault(path, {}).setdefault(details["loc"], [])
        message = _message(details, model, path)
        if message not in same_place:
            same_place.append(message)
    # A field of several types has one error per type; those about the inside of the value are the closest.
    for path in {_path_in(value, details) for details in remaining if _expects_a_plain_value(details)}:
        if _any_below(path, messages):
            del messages[path]
    return [ValidationIssue(path, message) for path, places in messages.items() for message in _joined(places)]


def _joined(places: Mapping[tuple[Any, ...], list[str]]) -> list[str]:
    """Return the issues of a path. A field of several types has a place per type, and one of them must be mended."""
    if len(places) == 1:
        return next(iter(places.values()))
    return ["; or ".join(dict.fromkeys("; ".join(messages) for messages in places.values()))]


def _expects_a_plain_value(details: ErrorDetails) -> bool:
    """Return True if a mapping or a list stands where one of the types of the field is a number, text etc."""
    return isinstance(details["input"], Mapping | tuple | list) and details["type"] in PLAIN_TYPES


def _any_below(path: KeyPath, others: Iterable[KeyPath]) -> bool:
    return any(len(other) > len(path) and other[: len(path)] == path for other in others)


def _counts_invalid_items(details: ErrorDetails) -> bool:
    """Return True for a list that pydantic calls too short because its items are invalid, which have issues already."""
    return details["type"] == "too_short" and len(details["input"]) >= details["ctx"]["min_length"]


def in_words(error: ValidationError) -> str:
    """Return an error of `as_error` as one line: `path: message; path: message`."""
    return "; ".join(f"{'.'.join(map(str, details['loc']))}: {details['msg']}" for details in error.errors())


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most similar to `name`; None if none is similar."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `did you mean 'NEAREST'?`; empty if no known name is similar."""
    near = nearest(name, known)
    return f"did you mean '{near}'?" if near else ""


def name_hint(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the nearest known one, or all of them."""
    names = list(known)
    if hint := did_you_mean(name, names):
        return f" ({hint})"
    return f"; there are {', '.join(names)}" if names else "; none is known here"


def shown(value: Any) -> str:
    """Return a value as a recipe would write it, at most about 70 characters."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return f"a mapping of {', '.join(map(str, value))}"[:70] if value else "an empty mapping"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(shown, value))}]"[:70]
    return f"{value!r:.70}"


def _path_in(value: Any, details: ErrorDetails) -> KeyPath:
    """Return the keys of the error's location that `value` has, and the name of a missing option.

    Pydantic's location also holds the members of unions and keys that a validator filled in.
    """
    missing = details["type"] == "missing" or details.get("ctx", {}).get(PLAIN) == MISSING
    path: list[str | int] = []
    for key in details["loc"]:
        is_key = isinstance(value, dict) and key in value
        is_index = isinstance(value, tuple | list) and isinstance(key, int) and key < len(value)
        if is_key or is_index:
            path.append(key)
            value = value[key]
        elif missing and isinstance(value, str) and key == value:  # a choice by its bare name
            path.append(key)
    if missing and isinstance(details["loc"][-1], str):
        path.append(details["loc"][-1])
    return tuple(path)


def _message(details: ErrorDetails, model: type[BaseModel], path: KeyPath) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == PLAIN:
        return str(context[PLAIN])
    if kind == "value_error":
        return str(context["error"])
    if kind == "extra_forbidden":
        return "unknown key" + name_hint(str(path[-1]), _names(_model_at(model, path[:-1])))
    if kind == "missing":
        return MISSING if isinstance(details["loc"][-1], str) else "has too few values"
    value = details["input"]
    if kind == "literal_error":
        return f"must be {context['expected']}, not {shown(value)}{_literal_hint(value, context['expected'])}"
    if kind in _EXPECTED:
        return f"must be {_EXPECTED[kind](context)}, not {shown(value)}{_integer_hint(kind, value)}"
    return f"{details['msg'].replace('Input should', 'must', 1)}, not {shown(value)}"


def _always(expected: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda context: expected


_EXPECTED: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    **dict.fromkeys(("int_type", "int_from_float", "int_parsing"), _always("a whole number")),
    **dict.fromkeys(("float_type", "float_parsing"), _always("a number")),
    **dict.fromkeys(("bool_type", "bool_parsing"), _always("true or false")),
    **dict.fromkeys(("tuple_type", "list_type"), _always("a list")),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), _always("a mapping of options")),
    "string_type": _always("text"),
    "finite_number": _always("a finite number"),
    "greater_than": lambda context: f"more than {context['gt']:g}",
    "greater_than_equal": lambda context: f"at least {context['ge']:g}",
    "less_than": lambda context: f"less than {context['lt']:g}",
    "less_than_equal": lambda context: f"at most {context['le']:g}",
    "multiple_of": lambda context: f"a multiple of {context['multiple_of']:g}",
    "too_short": lambda context: f"a list of at least {context['min_length']}",
    "too_long": lambda context: f"a list of at most {context['max_length']}",
}
"""The value that a field expects, by pydantic's error type and context."""


def _integer_hint(kind: str, value: Any) -> str:
    """Return the way out for an integer that was written with a point or an exponent."""
    is_integer = kind == "int_type" and isinstance(value, float) and value.is_integer()
    return f"; write {value:.0f}" if is_integer else ""


def _literal_hint(value: Any, expected: str) -> str:
    hint = did_you_mean(str(value), expected.replace("'", "").replace(" or ", ", ").split(", "))
    return f" ({hint})" if hint else ""


def _names(model: type[BaseModel] | None) -> Iterable[str]:
    return model.model_fields if model else ()


def _model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    """Return the model of the value at `path`; None if the annotations do not name one."""
    inner: type[BaseModel] | None = model
    for key in path:
        if isinstance(key, int):  # the annotation of a list also gives the type of its items
            continue
        field = inner.model_fields.get(key) if inner else None
        inner = next(_models_in(field.annotation), None) if field else None
    return inner


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
