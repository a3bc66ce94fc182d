"""Resolve a name and return the documents that describe it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lowvision.commands.show import descriptions
from lowvision.commands.show.request import ShowRequest
from lowvision.config.validation import did_you_mean
from lowvision.errors import UsageError
from lowvision.models import pretrained
from lowvision.plugins import hookspecs
from lowvision.plugins.registry import Entry, Registry
from lowvision.recipe import shipped

NETWORKS = ("backbones", "classifiers")
"""Kinds whose components have a cost."""


def documents(name: str, registry: Registry, request: ShowRequest) -> list[dict[str, Any]]:
    """Describe everything of that name, e.g. `carn`, `backbones.carn`, `sr_carn`, a file, an exported package.

    Raises UsageError for an unknown name and for arguments that do not apply to it, PluginError if two plugins provide
    the name, and the errors of the reader of a file.
    """
    entries = _entries(name, registry)
    if entries:
        components = [_component(entry, kind, registry, request, len(entries)) for kind, entry in entries]
        return components + [_bundled_weights(entry, registry) for kind, entry in entries if kind == "weights"]
    path = shipped.recipes(registry).get(name, Path(name))
    if path.suffix in shipped.ENDINGS:
        from lowvision.commands.show import recipes

        _refuse_scale(name, request, "change the scale of a recipe with task.NAME.scale=N")
        return [recipes.document(name, path, registry, request.changes, request.width, request.height)]
    if path.exists():
        _refuse_scale(name, request, "weights are for one scale; leave it out")
        if request.changes:
            raise UsageError(f"{name}: weights have no options to change; leave {request.changes[0]} out")
        return [descriptions.weights_file(path, registry, request.width, request.height)]
    raise UsageError(_unknown(name, registry))


def _entries(name: str, registry: Registry) -> list[tuple[str, Entry]]:
    """Return kind and entry of all components of that name. Raises PluginError if two plugins provide one."""
    prefix, _, bare_name = name.rpartition(".")
    kinds = hookspecs.KINDS if not prefix else [prefix] if prefix in hookspecs.KINDS else []
    matches = [kind for kind in kinds if bare_name in registry[kind] or (kind, bare_name) in registry.clashes]
    return [(kind, registry.find(kind, bare_name)) for kind in matches]


def _component(entry: Entry, kind: str, registry: Registry, request: ShowRequest, matches: int) -> dict[str, Any]:
    document = descriptions.component(entry, kind)
    if kind in NETWORKS and matches == 1:
        from lowvision.commands.show import networks

        return {**document, "network": networks.document(entry, kind, registry, request)}
    if request != ShowRequest():
        if matches > 1:
            raise UsageError(f"{entry.name}: the name has several kinds; give e.g. {kind}.{entry.name}")
        raise UsageError(f"{entry.name}: only {' and '.join(NETWORKS)} have options and a cost; give the name alone")
    return document


def _bundled_weights(entry: Entry, registry: Registry) -> dict[str, Any]:
    return descriptions.weights_file(pretrained.find(Path(entry.name), registry), registry, None, None)


def _refuse_scale(name: str, request: ShowRequest, way_out: str) -> None:
    if request.scale is not None:
        raise UsageError(f"{name}: --scale applies only to backbones and classifiers; {way_out}")


def _unknown(name: str, registry: Registry) -> str:
    names = {name for provided in registry.values() for name in provided} | {*shipped.recipes(registry)}
    hint = did_you_mean(name, sorted(names)) or "`lowvision ls` lists all names"
    return f"{name}: no component, recipe or file of that name; {hint}{registry.absent()}"
