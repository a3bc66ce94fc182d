"""A thing on a menu: what it is, who provides it, and its options."""

from __future__ import annotations

import inspect
from typing import Any

from lowvision.commands.show import options
from lowvision.plugins import hookspecs
from lowvision.plugins.contracts import Runtime
from lowvision.plugins.registry import Entry


def document(entry: Entry, kind: str) -> dict[str, Any]:
    """Everything that is known of it without building it."""
    contract = hookspecs.KINDS[kind]
    facts = sorted(getattr(contract, "__class_vars__", ()))
    return {
        "kind": contract.__name__.lower(),
        "menu": kind,
        "name": entry.name,
        "about": inspect.cleandoc(entry.component.__doc__ or ""),
        "plugin": entry.plugin,
        "distribution": entry.distribution,
        "version": entry.version,
        "class": f"{entry.component.__module__}:{entry.component.__qualname__}",
        "facts": {fact: _fact(getattr(entry.component, fact)) for fact in facts},
        "options": options.documents(entry.component),
        **({"missing": entry.component().missing()} if issubclass(entry.component, Runtime) else {}),
    }


def _fact(value: Any) -> Any:
    """What the class says; where a property says it, it differs from one set of options to the next."""
    return "follows from the options" if isinstance(value, property) else value
