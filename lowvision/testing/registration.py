"""Components of a test as if a plugin provided them: files can name them, and recipes can use them."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lowvision.plugins import entry_points, registry
from lowvision.plugins.hookspecs import hookimpl

MODULE = "lowvision_component_under_test"


@contextmanager
def registered(components: Mapping[str, Mapping[str, type]]) -> Iterator[registry.Registry]:
    """Yield the installed components and these: kind -> name -> class. Raises AssertionError if one is invalid."""
    module: Any = types.ModuleType(MODULE)
    for kind, provided in components.items():
        setattr(module, f"lowvision_{kind}", hookimpl(lambda provided=provided: provided))
    sys.modules[MODULE] = module
    try:
        known = registry.Registry([*entry_points.installed(), entry_points.Plugin(MODULE, MODULE, "0")])
        if broken := [plugin for plugin in known.broken if plugin.plugin == entry_points.Plugin(MODULE, "", "").name]:
            names = ", ".join(entry.__name__ for provided in components.values() for entry in provided.values())
            raise AssertionError(f"{names}: {broken[0].reason}")
        yield known
    finally:
        del sys.modules[MODULE]
