"""Renders the templates of a kind into a folder, and refuses names that would not work."""

from __future__ import annotations

import ast
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from string import Template

from lowvision.errors import UsageError
from lowvision.plugins.registry import Registry

TEMPLATES = Path(__file__).parent / "templates"
EVERY = "every"
"""The folder of what each distribution has."""
ENDING = ".template"
PACKAGE = "package"
"""What stands in paths for the package's name."""
KINDS = {"backbone": "backbones", "reducer": "reducers", "classifier": "classifiers", "task": "tasks"}
"""What can be rendered, and the menu that it stands on."""
PREFIX = "lowvision-"
NAME = re.compile(PREFIX + r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Rendered:
    """A distribution that was written."""

    folder: Path
    distribution: str
    kind: str
    name: str
    """Of the component, on its menu."""


def render(distribution: str, kind: str, output: Path, registry: Registry) -> Rendered:
    """Write a distribution into the new folder `output`/`distribution`; it appears whole, by renaming.

    Raises UsageError for a name that would not work, or that is taken, and for a folder that cannot be written.
    """
    words = _words(distribution, kind)
    _check_free(words, registry)
    files = {path: text for part in (EVERY, kind) for path, text in _filled(part, words)}
    _check_class(files, words)
    folder = output / distribution
    if folder.exists():
        raise UsageError(f"{folder}: is there already; give another name, or --output DIR")
    try:
        _write(files, folder)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror or error}") from None
    return Rendered(folder, distribution, kind, words["name"])


def _words(distribution: str, kind: str) -> dict[str, str]:
    """What the templates are filled with. Raises UsageError for a name that is no distribution's."""
    if not NAME.fullmatch(distribution):
        near = re.sub(r"[^a-z0-9]+", "-", distribution.lower().removeprefix("lowvision")).strip("-")
        hint = f", as {PREFIX}{near}" if NAME.fullmatch(PREFIX + near) else ""
        raise UsageError(
            f"'{distribution}' is no name for a plugin: give {PREFIX} and lower-case words of letters and digits with "
            f"- between{hint}"
        )
    name = distribution.removeprefix(PREFIX).replace("-", "_")
    package = distribution.replace("-", "_")
    network = f"| `{package}/network.py` | the network, in torch |\n"
    return {
        "distribution": distribution,
        "package": package,
        "name": name,
        "Class": "".join(word.capitalize() for word in name.split("_")),
        "kind": kind,
        "menu": KINDS[kind],
        "network_row": network if (TEMPLATES / kind / PACKAGE / f"network.py{ENDING}").is_file() else "",
    }


def _check_free(words: dict[str, str], registry: Registry) -> None:
    """Raises UsageError where a plugin has the name, or a package of that name can be imported."""
    name, kind = words["name"], words["kind"]
    if name in registry[KINDS[kind]]:
        owner = registry[KINDS[kind]][name].plugin
        raise UsageError(f"there is a {kind} '{name}' already, of {owner}; choose another name")
    if find_spec(words["package"]):
        raise UsageError(f"a package {words['package']} is installed already; choose another name, or uninstall it")


def _filled(part: str, words: dict[str, str]) -> Iterator[tuple[Path, str]]:
    """The files of one folder of templates: where each goes, and its text."""
    root = TEMPLATES / part
    for path in sorted(root.rglob(f"*{ENDING}")):
        places = path.relative_to(root).with_suffix("").parts
        target = Path(*(place.replace(PACKAGE, words["package"]) for place in places))
        yield target, Template(path.read_text(encoding="utf-8")).substitute(words)


def _check_class(files: dict[Path, str], words: dict[str, str]) -> None:
    """Raises UsageError where the class would be called like a word of Python, or like what its module imports."""
    # A word of Python would make the modules unreadable: it is asked first.
    if iskeyword(words["Class"]) or words["Class"] in _imports(files, words["package"]):
        raise UsageError(
            f"{words['distribution']}: its class would be called {words['Class']}, which means something else to "
            "Python or lowvision; choose another name"
        )


def _imports(files: dict[Path, str], package: str) -> set[str]:
    """The names that the rendered modules import."""
    found: set[str] = set()
    for path, text in files.items():
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.ImportFrom) and node.module != package:
                    found |= {alias.asname or alias.name for alias in node.names}
    return found


def _write(files: dict[Path, str], folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix="."))
    try:
        for path, text in files.items():
            target = temporary / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        temporary.chmod(0o755)  # mkdtemp makes folders for their owner alone
        os.rename(temporary, folder)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
