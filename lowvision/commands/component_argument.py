"""Arguments that name a component as a recipe does, e.g. `--task '{denoise: {sigma: 25}}'`."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from lowvision.config import yaml_reader
from lowvision.config.validation import in_words
from lowvision.errors import UsageError
from lowvision.plugins.choice import choose
from lowvision.plugins.registry import Registry


def parse_component(kind: str, text: str, place: str, registry: Registry) -> Any:
    """Return the component of a kind, e.g. `tasks`, that a text of YAML names.

    place: the argument, for errors. Raises UsageError, and RecipeError for a text that is not YAML.
    """
    return choose_component(kind, yaml_reader.parse(text, place).value, place, registry)


def choose_component(kind: str, value: Any, place: str, registry: Registry) -> Any:
    """Return the component that a value names. Raises UsageError."""
    try:
        return choose(kind, value, registry)
    except ValidationError as error:
        raise UsageError(f"{place}: {in_words(error)}") from None
    except ValueError as error:
        raise UsageError(f"{place}: {error}") from None
