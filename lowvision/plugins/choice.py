"""The grammar of a choice: a name, or a name with its options, becomes an options model from a shelf."""

from __future__ import annotations

from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, ValidationInfo
from pydantic_core import core_schema

from lowvision.config.options import Options
from lowvision.config.validation import ValidationIssue, as_error, from_error, shown
from lowvision.errors import LowvisionError
from lowvision.plugins import hookspecs
from lowvision.plugins.registry import Registry


class Choice:
    """Annotates a field that a recipe fills by choosing from the menu of that name.

    Validation and serialisation need the registry as pydantic's context.
    """

    def __init__(self, kind: str):
        self.kind = kind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self._choose,
            serialization=core_schema.plain_serializer_function_ser_schema(serialize, info_arg=True),
            metadata={"lowvision_menu": self.kind},
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"x-menu": self.kind}

    def _choose(self, value: Any, info: ValidationInfo) -> Options:
        if isinstance(value, hookspecs.KINDS[self.kind]):
            return value
        registry: Registry = info.context  # type: ignore[assignment]  # always given by this project's callers
        return choose(self.kind, value, registry)


def choose(kind: str, value: Any, registry: Registry) -> Options:
    """Build what `value`, a name or a mapping of one name to its options, says.

    Raises ValueError for a wrong shape, ValidationError of plain sentences for an unknown name or wrong options.
    """
    if isinstance(value, str):
        value = {value: {}}
    if not (isinstance(value, dict) and len(value) == 1):
        raise ValueError(f"give one name, or one name with its options; not {shown(value)}")
    ((name, options),) = value.items()
    try:
        component: type[Options] = registry.find(kind, name).component
    except LowvisionError as error:
        raise as_error(kind, [ValidationIssue((name,), str(error))]) from None
    options = {} if options is None else options
    try:
        return component.model_validate(options, context=registry)
    except ValidationError as error:
        raise as_error(kind, [c.below(name) for c in from_error(error, component, options)]) from None


def serialize(value: Options, info: core_schema.SerializationInfo) -> dict[str, Any]:
    """The inverse of `choose`: {name: every option}."""
    registry: Registry = info.context  # type: ignore[assignment]  # always given by this project's callers
    return {registry.name_of(value): value.model_dump(context=registry)}


def choices_of(model: type[Options]) -> dict[str, str]:
    """Which options of a model are choices themselves, and the menu of each."""
    found = ((name, mark) for name, field in model.model_fields.items() for mark in field.metadata)
    return {name: mark.kind for name, mark in found if isinstance(mark, Choice)}
