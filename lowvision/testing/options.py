"""What every options model must do: be written and read again, and say what it is."""

from __future__ import annotations

import json

from pydantic import ValidationError

from lowvision.config import yaml_reader
from lowvision.config.options import Options
from lowvision.errors import LowvisionError, message_of
from lowvision.plugins import registry


def check_options(options: Options) -> None:
    """It survives the header of a weights file, and its class and fields are told in words."""
    kind = type(options)
    if not kind.__doc__ or kind.__doc__ == kind.__mro__[1].__doc__:
        raise AssertionError(f"{kind.__name__}: give the class a docstring; `lowvision ls` shows its first line")
    told = kind.described()
    for name in kind.model_fields:
        if name not in told:
            raise AssertionError(
                f"{kind.__name__}: give the option '{name}' a docstring below it; editors and `lowvision show` tell it"
            )
    try:
        known = registry.load()  # by which a choice among the options is spelt
        written = yaml_reader.parse(json.dumps(options.model_dump(mode="json", context=known)), kind.__name__).value
        again = kind.model_validate(written, context=known)
    except (ValidationError, TypeError, ValueError, LowvisionError) as error:
        reason = message_of(error)[:300]
        raise AssertionError(
            f"{kind.__name__}: its options cannot be written to JSON and read again, as recipes and weights "
            f"files do ({reason}); use numbers, words, booleans, tuples and further Options, and validators that "
            "accept what they return"
        ) from error
    if again != options:
        raise AssertionError(
            f"{kind.__name__}: {again!r} comes back where {options!r} was written; a validator must leave alone "
            "what it has returned once"
        )


def name_of(options: Options) -> str:
    """`Plain(channels=8)`: the class and the options that are not its defaults."""
    said = ", ".join(f"{name}={getattr(options, name)!r}" for name in sorted(options.model_fields_set))
    return f"{type(options).__name__}({said})"
