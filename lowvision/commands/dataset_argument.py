"""Arguments that name photographs: folders, or data sets as in a recipe, e.g. `{zip: {path: photos.zip}}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lowvision.commands.component_argument import choose_component
from lowvision.config import yaml_reader
from lowvision.errors import UsageError
from lowvision.plugins.contracts import Dataset
from lowvision.plugins.registry import Registry

FOLDER = "folder"
"""Name of the data set of a folder."""


def parse(
    text: str, place: str, sizes: Mapping[str, float | None], registry: Registry, *, has_gt: bool = True
) -> Dataset:
    """Return the data set that a text names: a mapping as in a recipe, a name, or else the path of a folder.

    A folder that exists precedes a data set of the same name. place: the argument, for errors. sizes: options of every
    data set that does not give them itself. has_gt: False for folders of degraded images.
    Raises UsageError, and RecipeError for a mapping that is not YAML.
    """
    value = yaml_reader.parse(text, place).value if _is_mapping(text) else text
    if isinstance(value, str):
        is_folder = Path(value).exists() or value not in registry["datasets"]
        value = {FOLDER: {"path": value}} if is_folder else {value: {}}
    if not has_gt and list(value) != [FOLDER]:
        raise UsageError(f"--no-gt: '{text}' is a data set, not a folder of degraded images; give a folder")
    defaults = dict(sizes) if has_gt else {**sizes, "has_gt": False}
    dataset: Dataset = choose_component("datasets", _completed(value, defaults), place, registry)
    return dataset


def named(
    texts: Sequence[str], sizes: Mapping[str, float | None], has_gt: bool, registry: Registry
) -> dict[str, Dataset]:
    """Return data sets by the name of their folder or kind; equal names are extended by parent folders."""
    by_name: dict[str, Dataset] = {}
    for text in texts:
        kind = text.strip("{ ").partition(":")[0]
        names = [kind] if _is_mapping(text) else _endings(Path(text).resolve())
        name = next((name for name in names if name not in by_name), text)
        by_name[name] = parse(text, "PHOTOS", sizes, registry, has_gt=has_gt)
    return by_name


def _is_mapping(text: str) -> bool:
    return text.startswith("{")


def _completed(value: Any, defaults: Mapping[str, Any]) -> Any:
    """Return a mapping {name: options} with defaults of the options; anything else is returned, for its error."""
    if not isinstance(value, dict) or len(value) != 1:
        return value
    ((name, options),) = value.items()
    return {name: {**defaults, **options}} if isinstance(options, dict) else value


def _endings(folder: Path) -> list[str]:
    """Return the last part of a path, the last two, and so on."""
    parts = [part for part in folder.parts if part != folder.anchor]
    return ["-".join(parts[-n:]) for n in range(1, len(parts) + 1)]
