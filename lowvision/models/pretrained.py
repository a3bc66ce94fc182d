"""Weights files that plugins ship: find one by name, or the default one."""

from __future__ import annotations

import os
from pathlib import Path

from lowvision.config.validation import did_you_mean
from lowvision.errors import UsageError, WeightsError
from lowvision.plugins.contracts import Weights
from lowvision.plugins.registry import Registry

TRAIN_ONE = "a recipe makes your own: lowvision run sr_carn"
"""Way out if no plugin ships weights."""


def find(path_or_name: Path, registry: Registry) -> Path:
    """Return an existing path as it is, and the weights file of a plugin for its name.

    Raises WeightsError if there is neither.
    """
    if os.path.exists(path_or_name):
        return path_or_name
    name, provided = str(path_or_name), registry["weights"]
    if name in provided or ("weights", name) in registry.clashes:
        return _file(name, registry)
    hint = did_you_mean(name, provided) or f"plugins ship {', '.join(sorted(provided)) or 'none'}"
    raise WeightsError(f"{path_or_name}: no such file, and no weights of that name; {hint}")


def default(registry: Registry) -> Path:
    """Return the weights file to use if none is named. Raises UsageError if there is not exactly one default."""
    provided = registry["weights"]
    defaults = [
        name for name, entry in provided.items() if issubclass(entry.component, Weights) and entry.component.default
    ]
    if len(defaults) == 1:
        return _file(defaults[0], registry)
    names = ", ".join(sorted(defaults or provided))
    raise UsageError(f"which weights? give -m {f'NAME, one of {names}' if names else f'FILE; {TRAIN_ONE}'}")


def _file(name: str, registry: Registry) -> Path:
    entry = registry.find("weights", name)
    weights: Weights = entry.component()
    path = weights.path()
    if not path.is_file():
        raise WeightsError(f"{path}: is missing, although {entry.plugin} ships it as '{name}'; install it again")
    return path
