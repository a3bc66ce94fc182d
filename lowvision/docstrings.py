"""The docstrings below a class's attributes, read from its source when somebody asks.

Asking at every import, as pydantic's `use_attribute_docstrings` does, takes a third of the time of `lowvision ls`.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from functools import cache
from itertools import pairwise


@cache
def of_attributes(kind: type) -> Mapping[str, str]:
    """Each annotated attribute, inherited ones too, and the text below it; nothing where the source is not there."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if vars(each).get("__annotations__"):
            found |= _own(each)
    return found


def _own(kind: type) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError):
        return {}
    (definition,) = ast.parse(source).body
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
