"""Claims about the public API: its names and signatures are those of tests/public_api.txt.

Plugins and programs outside this repository depend on them, and their tests do not run here. The snapshot makes each
change visible in review: a removed or renamed name, a parameter that became keyword-only, a default that moved. If a
change is intended, update the snapshot and add a line to CHANGELOG.md, and to UPGRADING.md if callers must change:

    python tests/test_public_api.py > tests/public_api.txt
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

SNAPSHOT = Path(__file__).parent / "public_api.txt"
MODULES = ("lowvision", "lowvision.layers", "lowvision.testing")
UPDATE = "the public API changed; see the docstring of tests/test_public_api.py"


def names_of(module: types.ModuleType) -> list[str]:
    """Return the public names of a module: `__all__`, or else the imports from its submodules."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    submodules = {name for name, value in vars(module).items() if isinstance(value, types.ModuleType)}
    return sorted(n for n in vars(module) if not n.startswith("_") and n not in submodules | {"annotations"})


def lines_of(module_name: str) -> Iterator[str]:
    module = import_module(module_name)
    for name in names_of(module):
        value = getattr(module, name)
        if inspect.isclass(value):
            yield f"{module_name}.{name}({', '.join(base.__name__ for base in value.__bases__)})"
            yield from (f"    {line}" for line in members_of(value))
        elif inspect.isfunction(value):
            yield f"{module_name}.{name}{signature_of(value)}"
        elif get_origin(value) is Literal:
            yield f"{module_name}.{name} = {list(get_args(value))}"
        else:
            yield f"{module_name}.{name}: {type(value).__name__}"


def members_of(owner: type) -> Iterator[str]:
    """Return the fields, then the methods, that a class itself defines, in alphabetical order."""
    for name, kind in sorted(inspect.get_annotations(owner).items()):
        if not name.startswith("_") and name != "model_config":
            yield f"{name}: {kind}{default_of(owner, name)}"
    for name, value in sorted(vars(owner).items()):
        function = getattr(value, "__func__", getattr(value, "fget", value))
        written = inspect.isfunction(function) and function.__module__ == owner.__module__
        if written and (
            not name.startswith("_") or (name == "__init__" and not hasattr(owner, "__dataclass_fields__"))
        ):
            kind = "" if function is value else f" [{type(value).__name__}]"
            yield f"{name}{signature_of(function)}{kind}"


def default_of(owner: type, name: str) -> str:
    if issubclass(owner, BaseModel) and name in owner.model_fields:
        default = owner.model_fields[name].default
        return "" if default is PydanticUndefined else f" = {default!r}"
    value = vars(owner).get(name, PydanticUndefined)
    return "" if value is PydanticUndefined or isinstance(value, types.MemberDescriptorType) else f" = {value!r}"


def signature_of(function: Any) -> str:
    """Return a signature with annotations as written, which is the same text under every version of Python."""
    return str(inspect.signature(function)).replace("'", "")


def snapshot() -> str:
    return "".join(f"{line}\n" for module in MODULES for line in lines_of(module))


def test_names_and_signatures_equal_the_snapshot() -> None:
    assert snapshot() == SNAPSHOT.read_text(), UPDATE


def test_the_snapshot_changes_if_a_parameter_becomes_keyword_only() -> None:
    def before(path: str, device: str = "auto") -> None: ...

    def after(path: str, *, device: str = "auto") -> None: ...

    assert signature_of(before) != signature_of(after)


if __name__ == "__main__":
    print(snapshot(), end="")
