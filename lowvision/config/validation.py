"""Tells what is wrong with a recipe: plain sentences with their paths, made from pydantic's errors."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from lowvision.config.yaml_reader import KeyPath

TOLD = "told"
"""The pydantic error type of a complaint that is already a plain sentence."""
MISSING = "is missing"
"""The sentence about an option that must be given; it stands at a key that is not there."""


@dataclass(frozen=True)
class ValidationIssue:
    """One thing that is wrong: where in the recipe, and a sentence with the way out."""

    path: KeyPath
    message: str

    def below(self, *path: str | int) -> ValidationIssue:
        """The same complaint seen from further up."""
        return ValidationIssue((*path, *self.path), self.message)


def as_error(title: str, complaints: Iterable[ValidationIssue]) -> ValidationError:
    """The complaints as an error that a pydantic validator may raise; the paths are kept."""
    return ValidationError.from_exception_data(
        title,
        [
            # The sentence rides in the context, since braces in a template would be filled in.
            InitErrorDetails(type=PydanticCustomError(TOLD, "{told}", {"told": c.message}), loc=c.path, input=None)
            for c in complaints
        ],
    )


def from_error(error: ValidationError, model: type[BaseModel], value: Any) -> list[ValidationIssue]:
    """The complaints in an error that `model` raised about `value`, each path once."""
    sentences: dict[KeyPath, list[str]] = {}
    for details in error.errors():
        path = _path_in(value, details)
        sentence = _sentence(details, model, path)
        if sentence not in sentences.setdefault(path, []):
            sentences[path].append(sentence)
    # A field of several types complains once for each.
    return [ValidationIssue(path, "; or ".join(several)) for path, several in sentences.items()]


def in_words(error: ValidationError) -> str:
    """The errors that `as_error` made, in a line, each behind its path."""
    return "; ".join(f"{'.'.join(map(str, details['loc']))}: {details['msg']}" for details in error.errors())


def close_to(word: str, known: Iterable[str]) -> str:
    """A hint at the nearest known word, or the known words, to be put behind a complaint."""
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1)
    if near:
        return f" (did you mean '{near[0]}'?)"
    return f"; there are {', '.join(names)}" if names else "; none is known here"


def shown(value: Any) -> str:
    """A value as a recipe would spell it, cut short."""
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
    """The keys of the error's location that `value` really has, and the name of what is missing.

    Pydantic also counts the members of a union and keys that a validator filled in.
    """
    missing = details["type"] == "missing" or details.get("ctx", {}).get("told") == MISSING
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


def _sentence(details: ErrorDetails, model: type[BaseModel], path: KeyPath) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == TOLD:
        return str(context["told"])
    if kind == "value_error":
        return str(context["error"])
    if kind == "extra_forbidden":
        return "unknown key" + close_to(str(path[-1]), _names(_model_at(model, path[:-1])))
    if kind == "missing":
        return MISSING if isinstance(details["loc"][-1], str) else "has too few values"
    given = details["input"]
    if kind == "literal_error":
        return f"must be {context['expected']}, not {shown(given)}{_close_to_literal(given, context['expected'])}"
    if kind in _WANTED:
        return f"must be {_WANTED[kind](context)}, not {shown(given)}{_whole(kind, given)}"
    return f"{details['msg'].replace('Input should', 'must', 1)}, not {shown(given)}"


def _always(wanted: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda context: wanted


_WANTED: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
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
"""What a field wanted, by pydantic's type of the error and its context."""


def _whole(kind: str, given: Any) -> str:
    """The way out for a whole number that was written with a point or an exponent."""
    whole = kind == "int_type" and isinstance(given, float) and given.is_integer()
    return f"; write {given:.0f}" if whole else ""


def _close_to_literal(given: Any, expected: str) -> str:
    near = difflib.get_close_matches(str(given), expected.replace("'", "").replace(" or ", ", ").split(", "), n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""


def _names(model: type[BaseModel] | None) -> Iterable[str]:
    return model.model_fields if model else ()


def _model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    """The model of the value to which `path` leads, as far as the annotations tell."""
    found: type[BaseModel] | None = model
    for key in path:
        if isinstance(key, int):  # an item is of the type that its list's annotation holds
            continue
        field = found.model_fields.get(key) if found else None
        found = next(_models_in(field.annotation), None) if field else None
    return found


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
