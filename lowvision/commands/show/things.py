"""A thing on a menu: what it is, who provides it, and its options."""

from __future__ import annotations

import inspect
from typing import Any

from lowvision.commands.show import options
from lowvision.plugins import hookspecs
from lowvision.plugins.contracts import Runtime
from lowvision.plugins.registry import Entry


def document(entry: Entry, menu: str) -> dict[str, Any]:
    """Everything that is known of it without building it."""
    contract = hookspecs.MENUS[menu]
    facts = sorted(getattr(contract, "__class_vars__", ()))
    return {
        "kind": contract.__name__.lower(),
        "menu": menu,
        "name": entry.name,
        "about": inspect.cleandoc(entry.thing.__doc__ or ""),
        "plugin": entry.plugin,
        "distribution": entry.distribution,
        "version": entry.version,
        "class": f"{entry.thing.__module__}:{entry.thing.__qualname__}",
        "facts": {fact: _fact(getattr(entry.thing, fact)) for fact in facts},
        "options": options.documents(entry.thing),
        **({"missing": entry.thing().missing()} if issubclass(entry.thing, Runtime) else {}),
    }


def _fact(value: Any) -> Any:
    """What the class says; where a property says it, it differs from one set of options to the next."""
    return "follows from the options" if isinstance(value, property) else value
