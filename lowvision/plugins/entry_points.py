"""Find the installed plugins by their entry points, those that the user selects, and entry points with slips."""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import metadata
from importlib.util import find_spec

from lowvision.config.validation import nearest
from lowvision.errors import PluginError
from lowvision.plugins import core_components

FRAMEWORK = "lowvision-framework"
"""The distribution of the core and of the plugins that come with it."""
GROUP = "lowvision"
SIMILAR = 0.85
"""Similarity to the group, by `difflib`, from which another name is taken for a slip."""
CORE = {
    core_components.__name__: "lowvision",
    "lowvision.pipeline.core_stages": "lowvision-stages",
    "lowvision.training.core_observers": "lowvision-observers",
}
"""Modules of the core that have hooks, like those of plugins, and their names in listings."""
LIMIT = "LOWVISION_PLUGINS"
"""Environment variable: comma-separated names of the plugins to load; if unset or empty, all are loaded."""


@dataclass(frozen=True)
class Plugin:
    """A module that an entry point names, and the distribution that installed it."""

    module: str
    distribution: str
    version: str
    point: str = ""
    """Name of the entry point; empty for the core's own components."""
    attribute: str = ""
    """Attribute of the module that the entry point names; must be empty, because hooks stand in the module."""

    @property
    def name(self) -> str:
        """Name in listings and messages."""
        return CORE.get(self.module, self.module.replace("_", "-"))


def installed() -> tuple[Plugin, ...]:
    """Return one plugin per module that an entry point of group `lowvision` names, and the core's own.

    The root distribution and the plugin's distribution may both name a module; that is one plugin.
    """
    core = (Plugin(module, FRAMEWORK, "") for module in CORE)
    return (*core, *(claimants[0] for _, claimants in sorted(by_module().items())))


def by_module() -> Mapping[str, list[Plugin]]:
    """Return all entry points of group `lowvision` as plugins, by module; two distributions may name one module."""
    modules: dict[str, list[Plugin]] = defaultdict(list)
    for point in metadata.entry_points(group=GROUP):
        modules[point.module].append(Plugin(point.module, *_name_and_version(point.dist), point.name, point.attr or ""))
    return modules


def misplaced() -> Iterator[metadata.EntryPoint]:
    """Yield the entry points in groups with a similar name whose modules no entry point of group `lowvision` names."""
    modules = by_module()
    for group in sorted(filter(_resembles_group, metadata.entry_points().groups)):
        yield from (point for point in metadata.entry_points(group=group) if point.module not in modules)


def misnamed(module: str) -> str | None:
    """Return a module that an entry point names, that does not exist, and whose name resembles that of `module`."""
    return nearest(module, [name for name in by_module() if find_spec(name.partition(".")[0]) is None])


def _resembles_group(group: str) -> bool:
    """Return True for a group that is not read, e.g. `lowvision.plugins` or `lowvison`, but is meant to be."""
    first = re.split("[._-]", group.lower())[0]
    return group != GROUP and bool(get_close_matches(first, [GROUP], cutoff=SIMILAR))


@functools.cache  # entry points share their distribution, and either property reads its whole metadata
def _name_and_version(distribution: metadata.Distribution | None) -> tuple[str, str]:
    return (distribution.name, distribution.version) if distribution else ("?", "?")


def chosen(plugins: Iterable[Plugin], names: str) -> tuple[Plugin, ...]:
    """Return the plugins that comma-separated `names` select, and the core's own; all plugins if it is empty.

    A plugin is named by its entry point, e.g. `sr`, or as in listings, e.g. `lowvision-sr`.
    Raises PluginError for a name that no plugin has.
    """
    candidates = tuple(plugins)
    selected = {name.strip().replace("_", "-") for name in names.split(",") if name.strip()}
    if not selected:
        return candidates
    by_name = {
        name.replace("_", "-"): plugin for plugin in candidates if plugin.point for name in (plugin.point, plugin.name)
    }
    unknown = sorted(selected - by_name.keys())
    if unknown:
        available = ", ".join(plugin.point for plugin in candidates if plugin.point) or "none"
        raise PluginError(f"{LIMIT}: no plugin '{unknown[0]}'; there are {available}")
    return tuple(p for p in candidates if not p.point or p in [by_name[name] for name in selected])
