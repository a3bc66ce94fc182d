"""What every options model is: frozen, strict, and described by the docstrings below its fields."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema


class Options(BaseModel):
    """A frozen, strict set of options; sequences are tuples, an unknown name is an error.

    Docstrings are read from the source when somebody asks: at every import, as by pydantic's
    `use_attribute_docstrings`, that takes a third of the time of `lowvision ls`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True)

    @classmethod
    def described(cls) -> Mapping[str, str]:
        """What each option means, where it says so: its `Field(description=...)`, or else the docstring below it."""
        said = {name: field.description for name, field in cls.model_fields.items() if field.description}
        below = docstrings(cls)
        return {name: below[name] for name in cls.model_fields if name in below} | said

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        made = handler(schema)
        properties = handler.resolve_ref_schema(made).get("properties", {})
        for name, about in cls.described().items():
            properties[name]["description"] = about
        return made

    def replace(self, **changes: Any) -> Self:
        """A validated copy with some fields changed. Raises pydantic's ValidationError."""
        # model_copy(update=...) validates nothing.
        return type(self).model_validate({**dict(self), **changes})


@cache
def docstrings(kind: type) -> Mapping[str, str]:
    """Each annotated attribute, inherited ones too, and the text below it; nothing where the source is not there."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if vars(each).get("__annotations__"):
            found |= _own(each)
    return found


def _own(kind: type) -> dict[str, str]:
    try:
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    except (OSError, TypeError, SyntaxError):  # the last: a class in a function, with a line at the margin
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
