"""Check the options that a component declares, before anything uses them."""

from __future__ import annotations

import ast
import re

from pydantic import PydanticUndefinedAnnotation, PydanticUserError, ValidationError

from lowvision.config.options import Options

NO_REGISTRY = "no_registry"
"""The pydantic error type of a choice that is validated without a registry, as defaults are while plugins load."""
UNTYPED = re.compile(r"non-annotated attribute was detected: `(\w+) = (.*?)`\.", re.DOTALL)
"""Pydantic's message for a field without a type."""


def option_problem(component: type[Options], contract: type[Options]) -> str | None:
    """Return what is wrong with the options that a class declares; None if nothing is."""
    for name in component.model_fields.keys() - contract.model_fields.keys():
        if hasattr(contract, name):
            return f"an option '{name}', a class attribute of every {contract.__name__}; write `{name} = ...`, untyped"
    for name in getattr(component, "weights_options", ()):
        if name not in component.model_fields:
            return f"`weights_options` with '{name}', which is none of its options; write a tuple, e.g. `(\"start\",)`"
    if _fails_by_init(component):
        return "an `__init__` that cannot set options; they need none: declare `channels: int = 8`, use it in methods"
    try:
        component.model_rebuild()  # resolves types that were defined after the class
        component.model_validate({})
    except (PydanticUndefinedAnnotation, PydanticUserError) as error:
        return f"an option whose type is unknown ({error.message}); import it outside TYPE_CHECKING"
    except ValidationError as error:
        for problem in error.errors():
            if problem["type"] not in ("missing", NO_REGISTRY) and problem["loc"]:
                option, default = problem["loc"][0], problem["input"]
                return f"an option '{option}' that does not allow its own default {default!r}: {problem['msg']}"
    return None


def declaration_problem(error: PydanticUserError) -> str:
    """Return why the class of a component cannot be defined, without pydantic's link."""
    if not (untyped := UNTYPED.search(error.message)):
        return f"{type(error).__name__}: {' '.join(error.message.split())}"
    name, value = untyped.groups()
    return (
        f"the option `{name} = {value}` has no type; write `{name}: {_type_of(value)} = {value}`, or ClassVar for a "
        "constant"
    )


def _type_of(value: str) -> str:
    """Return the type of a value from its repr, TYPE if it is no literal."""
    try:
        return type(ast.literal_eval(value)).__name__
    except (ValueError, SyntaxError):
        return "TYPE"


def _fails_by_init(component: type[Options]) -> bool:
    """Return True if a class has a separate `__init__` that fails, e.g. because it assigns to an option."""
    if component.__init__ is Options.__init__:
        return False
    try:
        component()
    except ValidationError as error:
        return any(problem["type"] == "frozen_instance" for problem in error.errors())
    except (AttributeError, TypeError, ValueError):  # it requires arguments, or does not call pydantic's
        return True
    return False
