"""Choices in recipes: a name, or a name with options, becomes the options model of a plugin's component."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, core_schema

from lowvision.config.options import Options
from lowvision.config.validation import ValidationIssue, as_error, from_error, shown
from lowvision.errors import LowvisionError
from lowvision.plugins import hookspecs
from lowvision.plugins.option_check import NO_REGISTRY
from lowvision.plugins.registry import Registry


class Choice:
    """Type annotation for a field whose value is a component of the given kind.

    Validation and serialization need the registry as pydantic's context.
    """

    def __init__(self, kind: str):
        self.kind = kind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self._choose,
            serialization=core_schema.plain_serializer_function_ser_schema(serialize, info_arg=True),
            metadata={"lowvision_kind": self.kind},
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"x-kind": self.kind}

    def _choose(self, value: Any, info: ValidationInfo) -> Options:
        if isinstance(value, hookspecs.KINDS[self.kind]):
            return value
        registry: Registry | None = info.context
        if registry is None:
            raise PydanticCustomError(NO_REGISTRY, "needs the installed plugins as context of the validation")
        return choose(self.kind, value, registry)


def choose(kind: str, value: Any, registry: Registry) -> Options:
    """Return the component that `value` names: NAME, or {NAME: options}.

    Raises ValueError for any other value, ValidationError for an unknown name or invalid options.
    """
    if isinstance(value, str):
        value = {value: {}}
    if not (isinstance(value, dict) and len(value) == 1):
        raise ValueError(f"must be one name, or one name with its options, not {shown(value)}")
    ((name, options),) = value.items()
    try:
        component: type[Options] = registry.find(kind, name).component
    except LowvisionError as error:
        raise as_error(kind, [ValidationIssue((name,), str(error))]) from None
    options = {} if options is None else options
    try:
        return component.model_validate(options, context=registry)
    except ValidationError as error:
        raise as_error(kind, [issue.below(name) for issue in from_error(error, component, options)]) from None


def serialize(value: Options, info: core_schema.SerializationInfo) -> dict[str, Any]:
    """Return {name: all options}, from which `choose` builds the same component."""
    registry: Registry = info.context  # type: ignore[assignment]  # all callers pass it
    return {registry.name_of(value): value.model_dump(context=registry)}


def choices_of(model: type[Options]) -> dict[str, str]:
    """Return the options of a model that are choices themselves, and the kind of each."""
    annotations = ((name, item) for name, field in model.model_fields.items() for item in _annotations(field))
    return {name: item.kind for name, item in annotations if isinstance(item, Choice)}


def _annotations(field: FieldInfo) -> Iterator[Any]:
    """Yield what annotates the type of an option, or a member of its union, e.g. of `BackboneChoice | None`."""
    yield from field.metadata
    for member in get_args(field.annotation):
        yield from getattr(member, "__metadata__", ())
