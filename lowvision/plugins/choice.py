"""The grammar of a choice: a name, or a name with its options, becomes an options model from a shelf."""

from __future__ import annotations

from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, ValidationInfo
from pydantic_core import core_schema

from lowvision.config.options import Options
from lowvision.config.validation import Complaint, as_error, from_error, shown
from lowvision.errors import LowvisionError
from lowvision.plugins import hookspecs
from lowvision.plugins.registry import Registry


class Choice:
    """Annotates a field that a recipe fills by choosing from the menu of that name.

    Validation and serialisation need the registry as pydantic's context.
    """

    def __init__(self, menu: str):
        self.menu = menu

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self._choose,
            serialization=core_schema.plain_serializer_function_ser_schema(spell, info_arg=True),
            metadata={"lowvision_menu": self.menu},
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"x-menu": self.menu}

    def _choose(self, value: Any, info: ValidationInfo) -> Options:
        if isinstance(value, hookspecs.MENUS[self.menu]):
            return value
        registry: Registry = info.context  # type: ignore[assignment]  # always given by this project's callers
        return choose(self.menu, value, registry)


def choose(menu: str, value: Any, registry: Registry) -> Options:
    """Build what `value`, a name or a mapping of one name to its options, says.

    Raises ValueError for a wrong shape, ValidationError of plain sentences for an unknown name or wrong options.
    """
    if isinstance(value, str):
        value = {value: {}}
    if not (isinstance(value, dict) and len(value) == 1):
        raise ValueError(f"give one name, or one name with its options; not {shown(value)}")
    ((name, options),) = value.items()
    try:
        thing: type[Options] = registry.find(menu, name).thing
    except LowvisionError as error:
        raise as_error(menu, [Complaint((name,), str(error))]) from None
    options = {} if options is None else options
    try:
        return thing.model_validate(options, context=registry)
    except ValidationError as error:
        raise as_error(menu, [c.below(name) for c in from_error(error, thing, options)]) from None


def spell(value: Options, info: core_schema.SerializationInfo) -> dict[str, Any]:
    """The inverse of `choose`: {name: every option}."""
    registry: Registry = info.context  # type: ignore[assignment]  # always given by this project's callers
    return {registry.name_of(value): value.model_dump(context=registry)}


def choices_of(model: type[Options]) -> dict[str, str]:
    """Which options of a model are choices themselves, and the menu of each."""
    found = ((name, mark) for name, field in model.model_fields.items() for mark in field.metadata)
    return {name: mark.menu for name, mark in found if isinstance(mark, Choice)}
