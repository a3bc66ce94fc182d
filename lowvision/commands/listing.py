"""List the components of the installed plugins and the shipped recipes, as text lines and as JSON documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lowvision.plugins import hookspecs
from lowvision.plugins.contracts import Runtime
from lowvision.plugins.entry_points import LIMIT
from lowvision.plugins.registry import Entry, Registry
from lowvision.recipe import shipped
from lowvision.system.text_table import aligned

RECIPES = "recipes"
KINDS = (*hookspecs.KINDS, RECIPES)
"""Kinds that can be listed."""


def document(registry: Registry, only: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """Return the components of each kind, or of the kind `only`. Raises KeyError for an unknown kind."""
    return {
        kind: _recipes(registry) if kind == RECIPES else [_component(entry) for entry in registry[kind].values()]
        for kind in ([only] if only else KINDS)
    }


def plugins(registry: Registry) -> list[dict[str, Any]]:
    """Return every plugin with its distribution, its components, and the reason if it is broken."""
    reasons = {broken.plugin: broken.reason for broken in registry.broken}
    return [
        {
            "name": plugin.name,
            "module": plugin.module,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "provides": _provided(registry, plugin.name),
            "broken": reasons.get(plugin.name),
            "left_out": plugin in registry.left_out,
        }
        for plugin in (*registry.plugins, *registry.left_out)
    ]


def lines(registry: Registry, only: str | None = None) -> Iterator[str]:
    """Format the components of each kind, or of the kind `only`: name, description and plugin."""
    for kind, components in document(registry, only).items():
        yield f"{kind}:"
        rows = [(component["name"], component["about"] + _provider(component)) for component in components]
        yield from (f"  {line}" for line in aligned(rows))
        if not components:
            yield "  none"


def plugin_lines(registry: Registry) -> Iterator[str]:
    """Format the plugins: the components of each, or why it is broken; then the names that two plugins provide."""
    for plugin in plugins(registry):
        yield f"{plugin['name']} {plugin['version']}".rstrip() + f" (from {plugin['distribution']})"
        if plugin["broken"]:
            yield f"  BROKEN: {plugin['broken']}"
        if plugin["left_out"]:
            yield f"  left out by {LIMIT}"
        for kind, names in plugin["provides"].items():
            yield f"  {kind}: {', '.join(names)}"
    for kind, name in registry.clashes:
        yield f"CLASH: {registry.claim(kind, name)}; neither can be used"


def _component(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "about": (entry.component.__doc__ or "").strip().partition("\n")[0],
        "plugin": entry.plugin,
        "distribution": entry.distribution,
        "version": entry.version,
        **_missing(entry),
    }


def _recipes(registry: Registry) -> list[dict[str, Any]]:
    """Return the shipped recipes with the first line of their comment, and their file."""
    return [
        {"name": name, "about": shipped.about(path).partition("\n")[0], "file": str(path)}
        for name, path in shipped.recipes(registry).items()
    ]


def _missing(entry: Entry) -> dict[str, str | None]:
    """Return why a runtime cannot run on this machine; empty if it can, and for other kinds."""
    if not issubclass(entry.component, Runtime):
        return {}
    return {"missing": entry.component.model_construct().missing()}  # not validated: building a validator takes long


def _provider(component: dict[str, Any]) -> str:
    """Return the plugin of a component and, for a runtime, what it lacks; nothing for a recipe."""
    missing = f"; {component['missing']}" if component.get("missing") else ""
    return f" ({component['plugin']}{missing})" if "plugin" in component else ""


def _provided(registry: Registry, plugin: str) -> dict[str, list[str]]:
    provided = {
        kind: [entry.name for entry in entries.values() if entry.plugin == plugin] for kind, entries in registry.items()
    }
    return {kind: names for kind, names in provided.items() if names}
