"""Hash the source of components, so that a cached result becomes unused when the code that made it changes."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

from lowvision.system import cache

NOT_HASHED = frozenset({"abc", "builtins", "lowvision", "pydantic", "typing"})
"""Top-level packages of the base classes that every component has."""


def of_component(component: type) -> dict[str, str]:
    """Return a hash per package that defines the class or one of its bases, by the name of the package.

    The contracts of lowvision are not included; a class without a source file, e.g. of a notebook, is not either.
    """
    modules = {base.__module__ for base in component.__mro__ if base.__module__.partition(".")[0] not in NOT_HASHED}
    return of_modules(*sorted({_plugin(module) for module in modules}))


def of_modules(*names: str) -> dict[str, str]:
    """Return a hash of all Python files of each module or package, by its name; nothing is imported."""
    return {name: cache.key(*_files(name)) for name in names}


def _plugin(module: str) -> str:
    """Return the outermost package of a module that has an `__init__`: a namespace may hold unrelated packages."""
    parts = module.split(".")
    packages = [".".join(parts[:length]) for length in range(1, len(parts))]
    return next((name for name in packages if (spec := _spec(name)) and spec.has_location), module)


def _spec(name: str) -> ModuleSpec | None:
    try:
        return find_spec(name)
    except (ImportError, ValueError):  # ValueError: a module that was not imported from a file, e.g. __main__
        return None


def _files(name: str) -> Iterator[list[str]]:
    """Yield the relative name and the hash of every Python file of a module."""
    spec = _spec(name)
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        return
    folder = Path(spec.origin).parent
    paths = [Path(spec.origin)] if spec.submodule_search_locations is None else sorted(folder.rglob("*.py"))
    for path in paths:
        yield [path.relative_to(folder).as_posix(), cache.fingerprint(path)]
