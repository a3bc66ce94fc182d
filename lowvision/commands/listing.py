"""What the installed plugins provide, as lines for a person and as plain values for a program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lowvision.plugins.contracts import Runtime
from lowvision.plugins.hookspecs import KINDS
from lowvision.plugins.registry import LIMIT, Entry, Registry
from lowvision.recipe import shipped

RECIPES = "recipes"
LISTED = (*KINDS, RECIPES)
"""What can be listed."""


def kinds(registry: Registry, only: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """Each menu and the shipped recipes, or `only` one of them, and what stands on it.

    Raises KeyError for a menu that there is not.
    """
    return {
        kind: _recipes(registry) if kind == RECIPES else [_entry(entry) for entry in registry[kind].values()]
        for kind in ([only] if only else LISTED)
    }


def plugins(registry: Registry) -> list[dict[str, Any]]:
    """Every plugin: where it comes from, what it provides, and why it provides nothing where it does not."""
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


def menu_lines(registry: Registry, only: str | None = None) -> Iterator[str]:
    """The menus as lines: a name, what it is, and whose it is."""
    for kind, entries in kinds(registry, only).items():
        yield f"{kind}:"
        width = max((len(entry["name"]) for entry in entries), default=0)
        for entry in entries:
            missing = f"; {entry['missing']}" if entry.get("missing") else ""
            owner = f" ({entry['plugin']}{missing})" if "plugin" in entry else ""
            yield f"  {entry['name']:{width}}  {entry['about']}{owner}"
        if not entries:
            yield "  none"


def plugin_lines(registry: Registry) -> Iterator[str]:
    """The plugins as lines: what each provides, or why it is broken; then the names that two of them claim."""
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


def about(entry: Entry) -> str:
    """The first line of what the thing says of itself."""
    return (entry.component.__doc__ or "").strip().partition("\n")[0]


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "about": about(entry),
        "plugin": entry.plugin,
        "distribution": entry.distribution,
        "version": entry.version,
        **_usable(entry),
    }


def _recipes(registry: Registry) -> list[dict[str, Any]]:
    """The shipped recipes: the first line of what each says of itself, and its file."""
    return [
        {"name": name, "about": shipped.about(path).partition("\n")[0], "file": str(path)}
        for name, path in shipped.recipes(registry).items()
    ]


def _usable(entry: Entry) -> dict[str, str | None]:
    """Of a runtime, what it misses on this machine."""
    return {"missing": entry.component().missing()} if issubclass(entry.component, Runtime) else {}


def _provided(registry: Registry, plugin: str) -> dict[str, list[str]]:
    provided = {
        kind: [entry.name for entry in provided.values() if entry.plugin == plugin]
        for kind, provided in registry.items()
    }
    return {kind: names for kind, names in provided.items() if names}
