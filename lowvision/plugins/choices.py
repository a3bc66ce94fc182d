"""Lists of choices in recipes: one choice, or a list of them, becomes a tuple of components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, ValidationInfo
from pydantic_core import core_schema

from lowvision.config.options import Options
from lowvision.config.validation import ValidationIssue, as_error, from_error, shown
from lowvision.plugins import core_components, hookspecs
from lowvision.plugins.choice import choose, serialize
from lowvision.plugins.registry import Registry


class Choices:
    """Type annotation for a field whose value is a tuple of components of the given kind, at least one.

    Validation and serialization need the registry as pydantic's context.
    """

    def __init__(self, kind: str):
        self.kind = kind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self._choose_all,
            serialization=core_schema.plain_serializer_function_ser_schema(_serialize_all, info_arg=True),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        choice = {"x-kind": self.kind}
        return {"anyOf": [choice, {"type": "array", "items": choice, "minItems": 1}]}

    @staticmethod
    def json_default(default: tuple[Options, ...]) -> list[str]:
        """Return a default as the JSON schema shows it; defaults are components of the core."""
        return [core_components.name_of(component) for component in default]

    def _choose_all(self, value: Any, info: ValidationInfo) -> tuple[Options, ...]:
        if not isinstance(value, tuple | list):
            return (self._choose(value, info),)
        if not value:
            raise ValueError(f"must be one choice or a list of at least one, not {shown(value)}")
        chosen, issues = [], list[ValidationIssue]()
        for index, item in enumerate(value):
            try:
                chosen.append(self._choose(item, info))
            except ValidationError as error:
                issues += [issue.below(index) for issue in from_error(error, Options, item)]
            except ValueError as error:
                issues.append(ValidationIssue((index,), str(error)))
        if issues:
            raise as_error(self.kind, issues)
        return tuple(chosen)

    def _choose(self, value: Any, info: ValidationInfo) -> Options:
        if isinstance(value, hookspecs.KINDS[self.kind]):
            return value
        registry: Registry = info.context  # type: ignore[assignment]  # all callers pass it
        return choose(self.kind, value, registry)


def _serialize_all(value: tuple[Options, ...], info: core_schema.SerializationInfo) -> list[Any]:
    if info.context is None:  # defaults of a JSON schema
        return list(Choices.json_default(value))
    return [serialize(component, info) for component in value]


def distinct(names: Sequence[str]) -> list[str]:
    """Return the names with numbers at repeated ones: fft, fft -> fft, fft_2."""
    counts = [names[: index + 1].count(name) for index, name in enumerate(names)]
    return [name if count == 1 else f"{name}_{count}" for name, count in zip(names, counts, strict=True)]
