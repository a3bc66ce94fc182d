"""Render the templates of a kind into a folder, and refuse invalid names."""

from __future__ import annotations

import ast
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from string import Template

from lowvision.errors import UsageError
from lowvision.plugins.registry import Registry
from lowvision.system.atomic import temporary_beside

TEMPLATES = Path(__file__).parent / "templates"
EVERY = "every"
"""Folder of the templates of every distribution."""
ENDING = ".template"
PACKAGE = "package"
"""Placeholder of the package's name in paths."""
COMPONENT = "component"
"""Placeholder of the component's name in paths: recipes of two plugins must not share a run folder."""
KINDS = {
    "backbone": "backbones",
    "reducer": "reducers",
    "classifier": "classifiers",
    "task": "tasks",
    "loss": "losses",
    "metric": "metrics",
    "stage": "stages",
    "observer": "observers",
    "dataset": "datasets",
}
"""Component types that can be rendered, and their kind in the registry."""
MODULES = {
    "network.py": "the network, in torch",
    "objective.py": "the losses, in torch",
    "detail.py": "the loss, in torch",
    "follower.py": "the observer, which a run calls",
    "reader.py": "the reader, which returns pixels",
}
"""Modules that some kinds have, and their row in the README."""
PREFIX = "lowvision-"
NAME = re.compile(PREFIX + r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Rendered:
    """A rendered distribution."""

    folder: Path
    distribution: str
    kind: str
    name: str
    """Name of the component."""


def render(distribution: str, kind: str, output: Path, registry: Registry) -> Rendered:
    """Write a distribution atomically into the new folder `output`/`distribution`.

    Raises UsageError for an invalid or used name, and for a folder that cannot be written.
    """
    values = _values(distribution, kind)
    _check_free(values, registry)
    files = {path: text for part in (EVERY, kind) for path, text in _filled(part, values)}
    _check_class(files, values)
    folder = output / distribution
    if folder.exists():
        raise UsageError(f"{folder}: exists already; give another name, or --output DIR")
    try:
        _write(files, folder)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror or error}") from None
    return Rendered(folder, distribution, kind, values["name"])


def _values(distribution: str, kind: str) -> dict[str, str]:
    """Return the values of the templates' placeholders. Raises UsageError for an invalid distribution name."""
    if not NAME.fullmatch(distribution):
        near = re.sub(r"[^a-z0-9]+", "-", distribution.lower().removeprefix("lowvision")).strip("-")
        hint = f", e.g. {PREFIX}{near}" if NAME.fullmatch(PREFIX + near) else ""
        raise UsageError(
            f"'{distribution}': is no valid plugin name; give {PREFIX} and lower-case words of letters and digits "
            f"separated by -{hint}"
        )
    name = distribution.removeprefix(PREFIX).replace("-", "_")
    package = distribution.replace("-", "_")
    modules = [name for name in MODULES if (TEMPLATES / kind / PACKAGE / f"{name}{ENDING}").is_file()]
    return {
        "distribution": distribution,
        "package": package,
        "name": name,
        "Class": "".join(word.capitalize() for word in name.split("_")),
        "kind": kind,
        "menu": KINDS[kind],
        "network_row": "".join(f"| `{package}/{name}` | {MODULES[name]} |\n" for name in modules),
    }


def _check_free(values: dict[str, str], registry: Registry) -> None:
    """Raise UsageError if a component or a package has the name already."""
    name, kind = values["name"], values["kind"]
    if name in registry[KINDS[kind]]:
        owner = registry[KINDS[kind]][name].plugin
        raise UsageError(f"{kind} '{name}': exists already, provided by {owner}; choose another name")
    if find_spec(values["package"]):
        raise UsageError(f"package '{values['package']}': is installed already; choose another name, or uninstall it")


def _filled(part: str, values: dict[str, str]) -> Iterator[tuple[Path, str]]:
    """Return path and text of each file of a templates folder."""
    root = TEMPLATES / part
    for path in sorted(root.rglob(f"*{ENDING}")):
        places = path.relative_to(root).with_suffix("").parts
        names = (place.replace(PACKAGE, values["package"]).replace(COMPONENT, values["name"]) for place in places)
        target = Path(*names)
        yield target, Template(path.read_text(encoding="utf-8")).substitute(values)


def _check_class(files: dict[Path, str], values: dict[str, str]) -> None:
    """Raise UsageError if the class name is a Python keyword or is imported by the rendered modules."""
    # Keywords first: with a keyword as class name the modules cannot be parsed.
    if iskeyword(values["Class"]) or values["Class"] in _imports(files, values["package"]):
        raise UsageError(
            f"{values['distribution']}: its class name {values['Class']} has another meaning in Python or lowvision; "
            "choose another name"
        )


def _imports(files: dict[Path, str], package: str) -> set[str]:
    """Return the names that the rendered modules import."""
    names: set[str] = set()
    for path, text in files.items():
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.ImportFrom) and node.module != package:
                    names |= {alias.asname or alias.name for alias in node.names}
    return names


def _write(files: dict[Path, str], folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(folder)
    temporary.mkdir()
    try:
        for path, text in files.items():
            target = temporary / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        os.rename(temporary, folder)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
