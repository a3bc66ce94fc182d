"""The base of all options models: frozen, strict, and described by the docstrings below its fields."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from pydantic import BaseModel, ConfigDict
from pydantic_core import to_jsonable_python

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.fields import FieldInfo
    from pydantic_core import CoreSchema


@runtime_checkable
class JsonDefault(Protocol):
    """An annotation that defines how a default is written in a JSON schema."""

    def json_default(self, default: Any) -> Any:
        """Return the default as JSON."""


class Options(BaseModel):
    """A frozen, strict set of options. Sequences are tuples; an unknown name is an error.

    The docstrings of fields are read from the source on demand. Pydantic's `use_attribute_docstrings` reads them at
    every import, which takes a third of the time of `lowvision ls`. For the same reason, a default that consists of
    options is made by `default_factory`: an instance at import would build its validator.
    """

    # Deferred: a command uses few of the hundred and more options models that plugins define.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True, defer_build=True)

    @classmethod
    def described(cls) -> Mapping[str, str]:
        """Return the description of each option that has one: `Field(description=...)`, or the docstring below it."""
        explicit = {name: field.description for name, field in cls.model_fields.items() if field.description}
        below = docstrings(cls)
        return {name: below[name] for name in cls.model_fields if name in below} | explicit

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        json_schema = handler(schema)
        properties = handler.resolve_ref_schema(json_schema).get("properties", {})
        for name, description in cls.described().items():
            properties[name]["description"] = description
        for name, field in cls.model_fields.items():
            if field.default_factory and not field.default_factory_takes_validated_data:
                properties[name]["default"] = _default_as_json(field)
        return json_schema

    def replace(self, **changes: Any) -> Self:
        """Return a validated copy with some fields changed. Raises pydantic's ValidationError."""
        # model_copy(update=...) validates nothing.
        return type(self).model_validate({**dict(self), **changes})


@cache
def docstrings(kind: type) -> Mapping[str, str]:
    """Return the docstring below each annotated attribute of a class and its bases; empty without their source."""
    texts: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if vars(base).get("__annotations__"):
            texts |= _docstrings_in_body(base)
    return texts


def _default_as_json(field: FieldInfo) -> Any:
    default = field.get_default(call_default_factory=True)
    annotation = next((item for item in field.metadata if isinstance(item, JsonDefault)), None)
    return annotation.json_default(default) if annotation else to_jsonable_python(default)


def _docstrings_in_body(kind: type) -> dict[str, str]:
    try:
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    except (OSError, TypeError, SyntaxError):  # SyntaxError: a class in a function with an unindented line
        return {}
    assert isinstance(definition, ast.ClassDef)
    return {
        attribute.target.id: inspect.cleandoc(text.value.value)
        for attribute, text in pairwise(definition.body)
        if isinstance(attribute, ast.AnnAssign)
        and isinstance(attribute.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
