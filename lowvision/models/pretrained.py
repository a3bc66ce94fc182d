"""The trained networks that plugins carry: which there are, and what a command's word for one means."""

from __future__ import annotations

import difflib
from pathlib import Path

from lowvision.errors import UsageError, WeightsError
from lowvision.plugins.contracts import Weights
from lowvision.plugins.registry import Registry

TRAIN_ONE = "a recipe makes your own: lowvision run sr_carn"
"""The way out where nothing is carried."""


def find(word: Path, registry: Registry) -> Path:
    """The weights file, or exported package, that a word means: what lies at that path, or is carried by that name.

    Raises WeightsError where there is neither.
    """
    if word.exists():
        return word
    name, provided = str(word), registry["weights"]
    if name in provided or ("weights", name) in registry.clashes:
        return _file(name, registry)
    near = difflib.get_close_matches(name, provided, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"carried by plugins are {', '.join(sorted(provided)) or 'none'}"
    raise WeightsError(f"{word}: no such file, and no weights of that name; {hint}")


def default(registry: Registry) -> Path:
    """The file of the weights to take where none are named. Raises UsageError where that is not clear."""
    provided = registry["weights"]
    named = [
        name for name, entry in provided.items() if issubclass(entry.component, Weights) and entry.component.default
    ]
    if len(named) == 1:
        return _file(named[0], registry)
    there = ", ".join(sorted(named or provided))
    raise UsageError(f"which weights? give -m {f'NAME, one of {there}' if there else f'FILE; {TRAIN_ONE}'}")


def _file(name: str, registry: Registry) -> Path:
    entry = registry.find("weights", name)
    carried: Weights = entry.component()
    path = carried.path()
    if not path.is_file():
        raise WeightsError(f"{path}: is missing, though {entry.plugin} carries it as '{name}'; install it again")
    return path
