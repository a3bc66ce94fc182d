"""What a name means, and the document about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lowvision.commands.show import components
from lowvision.commands.show.wanted import Wanted
from lowvision.config.validation import did_you_mean
from lowvision.errors import UsageError
from lowvision.models import pretrained
from lowvision.plugins import hookspecs
from lowvision.plugins.registry import Entry, Registry
from lowvision.recipe import shipped

NETWORKS = ("backbones", "classifiers")
"""The menus whose things have a cost."""


def documents(word: str, registry: Registry, wanted: Wanted) -> list[dict[str, Any]]:
    """A document about everything of that name: `carn`, `backbones.carn`, `sr_carn`, a file, an exported package.

    Raises UsageError for a name that nothing has, and for questions that the thing cannot answer; PluginError where
    two plugins claim the name; what is wrong with a file as its reader does.
    """
    entries = _entries(word, registry)
    if entries:
        told = [_of_thing(entry, kind, registry, wanted, len(entries)) for kind, entry in entries]
        return told + [_file(entry, registry) for kind, entry in entries if kind == "weights"]
    path = shipped.recipes(registry).get(word, Path(word))
    if path.suffix in shipped.ENDINGS:
        from lowvision.commands.show import recipes

        _no_scale(word, wanted, "a recipe has a task of its own; change it with task.NAME.scale=N")
        return [recipes.document(word, path, registry, wanted.changes, wanted.width, wanted.height)]
    if path.exists():
        from lowvision.commands.show import files

        _no_scale(word, wanted, "weights belong to a task of one scale")
        if wanted.changes:
            raise UsageError(f"{word}: weights have no options to change; leave {wanted.changes[0]} out")
        return [files.document(path, registry, wanted.width, wanted.height)]
    raise UsageError(_unknown(word, registry))


def _entries(word: str, registry: Registry) -> list[tuple[str, Entry]]:
    """All things of that name, each with its menu. Raises PluginError where two plugins claim it."""
    kind, _, name = word.rpartition(".")
    kinds = hookspecs.KINDS if not kind else [kind] if kind in hookspecs.KINDS else []
    taken = [there for there in kinds if name in registry[there] or (there, name) in registry.clashes]
    return [(there, registry.find(there, name)) for there in taken]


def _of_thing(entry: Entry, kind: str, registry: Registry, wanted: Wanted, alike: int) -> dict[str, Any]:
    document = components.document(entry, kind)
    if kind in NETWORKS and alike == 1:
        from lowvision.commands.show import networks

        return {**document, "network": networks.document(entry, kind, registry, wanted)}
    if wanted != Wanted():
        if alike > 1:
            raise UsageError(f"{entry.name} stands on several menus; say which, as {kind}.{entry.name}")
        raise UsageError(f"{entry.name} is none of {' and '.join(NETWORKS)}: it has no cost, so ask its name alone")
    return document


def _file(entry: Entry, registry: Registry) -> dict[str, Any]:
    """What the file says of itself that a plugin carries."""
    from lowvision.commands.show import files

    return files.document(pretrained.find(Path(entry.name), registry), registry, None, None)


def _no_scale(word: str, wanted: Wanted, reason: str) -> None:
    if wanted.scale is not None:
        raise UsageError(f"{word}: --scale is for backbones and classifiers; {reason}")


def _unknown(word: str, registry: Registry) -> str:
    names = {name for provided in registry.values() for name in provided} | {*shipped.recipes(registry)}
    hint = did_you_mean(word, sorted(names)) or "`lowvision ls` lists all names"
    return f"nothing is called '{word}', and there is no such file; {hint}{registry.absent()}"
