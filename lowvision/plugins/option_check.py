"""Check the options that a component declares, before anything uses them."""

from __future__ import annotations

from pydantic import PydanticUndefinedAnnotation, PydanticUserError, ValidationError

from lowvision.config.options import Options

NO_REGISTRY = "no_registry"
"""The pydantic error type of a choice that is validated without a registry, as defaults are while plugins load."""


def option_problem(component: type[Options], contract: type[Options]) -> str | None:
    """Return what is wrong with the options that a class declares; None if nothing is."""
    for name in component.model_fields.keys() - contract.model_fields.keys():
        if hasattr(contract, name):
            return f"an option '{name}', a class attribute of every {contract.__name__}; write `{name} = ...`, untyped"
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
