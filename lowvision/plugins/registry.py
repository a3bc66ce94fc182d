"""Load the installed plugins and keep their components, read-only, by kind and name."""

from __future__ import annotations

import importlib
import os
import re
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import pluggy
from pydantic import PydanticUserError

from lowvision.config.options import Options
from lowvision.config.validation import nearest
from lowvision.errors import PluginError, RecipeError, summary_of
from lowvision.plugins import hookspecs
from lowvision.plugins.entry_points import FRAMEWORK, LIMIT, Plugin, chosen, installed
from lowvision.plugins.option_check import declaration_problem, option_problem

NAME = re.compile(r"[a-z][a-z0-9_-]*")
STRICT = "LOWVISION_STRICT"
"""Environment variable: 1 turns broken plugins and names with two plugins into errors."""


@dataclass(frozen=True)
class Entry:
    """A component and the plugin that provides it."""

    name: str
    component: type
    plugin: str
    distribution: str
    version: str


@dataclass(frozen=True)
class Broken:
    """A plugin that failed to load, and the reason."""

    plugin: str
    distribution: str
    reason: str


class Registry(Mapping[str, Mapping[str, Entry]]):
    """The components of plugins, read-only: `registry[kind][name]` is an Entry; the kinds are `hookspecs.KINDS`."""

    def __init__(self, plugins: Iterable[Plugin], left_out: Iterable[Plugin] = ()):
        self.plugins: tuple[Plugin, ...] = tuple(plugins)
        self.left_out: tuple[Plugin, ...] = tuple(left_out)
        """Installed plugins that the variable LOWVISION_PLUGINS does not name."""
        broken: list[Broken] = []
        entries_of: dict[tuple[str, str], list[Entry]] = defaultdict(list)
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        for plugin in self.plugins:
            try:
                components = list(_components(plugin, manager))
            except (Exception, SystemExit) as error:  # an external module may raise anything; load the others
                broken.append(Broken(plugin.name, plugin.distribution, _reason(error, plugin)))
                continue
            for kind, entry in components:
                entries_of[kind, entry.name].append(entry)
        self.broken: tuple[Broken, ...] = tuple(broken)
        self.clashes: Mapping[tuple[str, str], list[Entry]] = {
            key: entries for key, entries in entries_of.items() if len(entries) > 1
        }
        """The names that two or more plugins provide: (kind, name) -> their entries."""
        provided: dict[str, dict[str, Entry]] = {kind: {} for kind in hookspecs.KINDS}
        for (kind, name), entries in entries_of.items():
            if len(entries) == 1:
                provided[kind][name] = entries[0]
        self._provided = {kind: MappingProxyType(entries) for kind, entries in provided.items()}

    def __getitem__(self, kind: str) -> Mapping[str, Entry]:
        return self._provided[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._provided)

    def __len__(self) -> int:
        return len(self._provided)

    # Compared by identity: entries hold classes, and caches use registries as keys.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def find(self, kind: str, name: str) -> Entry:
        """Return an entry. Raises PluginError if two plugins provide the name, RecipeError if none does."""
        if (kind, name) in self.clashes:
            raise PluginError(f"{self.claim(kind, name)}; uninstall one of them")
        provided = self[kind]
        if name in provided:
            return provided[name]
        if near := nearest(name, provided):
            hint = f"did you mean '{near}'? (from {provided[near].plugin})"
        else:
            hint = f"there are {', '.join(sorted(provided)) or 'none'}"
        raise RecipeError(f"no {_singular(kind)} named '{name}'; {hint}{self.absent()}")

    def claim(self, kind: str, name: str) -> str:
        """Return the sentence that names the plugins of one of the `clashes`, for messages."""
        owners = " and ".join(f"{entry.plugin} (from {entry.distribution})" for entry in self.clashes[kind, name])
        return f"{_singular(kind)} '{name}' is claimed by {owners}"

    def absent(self) -> str:
        """Return the end of a message about an unknown name: the plugins that are not loaded; empty if all are."""
        text = "".join(f"; plugin {broken.plugin} failed to load: {broken.reason}" for broken in self.broken)
        if self.left_out:
            text += f"; {LIMIT} leaves out {', '.join(plugin.name for plugin in self.left_out)}"
        return text

    def entry_of(self, component: object) -> Entry:
        """Return the entry of the class of `component`. Raises PluginError if no plugin provides it."""
        for provided in self.values():
            for entry in provided.values():
                if entry.component is type(component):
                    return entry
        raise PluginError(f"{type(component).__name__} is not provided by any installed plugin")

    def name_of(self, component: object) -> str:
        """Return the name under which a plugin provides the class of `component`. Raises PluginError."""
        return self.entry_of(component).name

    def serialize(self, component: Options) -> dict[str, Any]:
        """Return a component as a recipe writes it, with all options: {name: options}, of JSON's types."""
        return {self.name_of(component): component.model_dump(mode="json", context=self)}


def load() -> Registry:
    """Return a registry of the installed plugins, or of those that $LOWVISION_PLUGINS names.

    Plugins that fail to load are listed in `broken`. Raises PluginError if LOWVISION_PLUGINS names a plugin that is
    not installed, and, if LOWVISION_STRICT is 1, for every fault of a plugin.
    """
    all_plugins = installed()
    selected = chosen(all_plugins, os.environ.get(LIMIT, ""))
    strict = os.environ.get(STRICT, "")
    if strict not in ("", "0", "1"):
        raise PluginError(f"{STRICT} is {strict!r}; give 1 to turn faults of plugins into errors, or 0")
    registry = Registry(selected, [plugin for plugin in all_plugins if plugin not in selected])
    messages = [*faults(registry)]
    if strict == "1" and messages:
        raise PluginError("\n".join(messages))
    return registry


def faults(registry: Registry) -> Iterable[str]:
    """Yield one message per broken plugin and per name that two or more plugins provide."""
    for broken in registry.broken:
        yield f"plugin {broken.plugin} (from {broken.distribution}) failed to load: {broken.reason}"
    for kind, name in registry.clashes:
        yield f"{registry.claim(kind, name)}; neither can be used"


def _singular(kind: str) -> str:
    """Return the name of one component of a kind, for messages: `backbones` -> `backbone`."""
    return {"weights": kind, "losses": "loss"}.get(kind, kind.removesuffix("s"))


def _reason(error: BaseException, plugin: Plugin) -> str:
    """Return why a plugin is broken, in one line, with the position in its module if the traceback has one."""
    if isinstance(error, ModuleNotFoundError) and error.name == plugin.module and plugin.point:
        return (
            f"its entry point {plugin.point} names the module {plugin.module}, which is not there; correct it in "
            "pyproject.toml and install it again"
        )
    positions = [
        f"{Path(frame.f_code.co_filename).name}, line {line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if f"{frame.f_globals.get('__name__')}.".startswith(f"{plugin.module}.")
    ]
    reason = declaration_problem(error) if isinstance(error, PydanticUserError) else summary_of(error)
    return f"{reason} ({positions[-1]})" if positions else reason


def _components(plugin: Plugin, manager: pluggy.PluginManager) -> Iterator[tuple[str, Entry]]:
    """Yield the components of a plugin as (kind, entry). Raises PluginError, or what its module raises."""
    if plugin.attribute:
        target = f"{plugin.module}:{plugin.attribute}"
        raise PluginError(f"its entry point {plugin.point} names {target}; name only the module that has the hooks")
    for kind, function in _hooks(importlib.import_module(plugin.module), manager):
        contract = hookspecs.KINDS[kind]
        # Called one by one: pluggy's own call drops None, the result of a forgotten `return`.
        for name, component in _checked(kind, contract, function()):
            # The tests of the framework hold this for its own plugins; building all models takes a third of `ls`.
            problem = None if plugin.distribution == FRAMEWORK else option_problem(component, contract)
            if problem:
                raise PluginError(f"lowvision_{kind}: '{name}' has {problem}")
            yield kind, Entry(name, component, plugin.name, plugin.distribution, plugin.version)


def _hooks(module: ModuleType, manager: pluggy.PluginManager) -> list[tuple[str, Callable[[], Any]]]:
    """Return the functions of a module's hooks as (kind, function). Raises PluginError if there are none, or others.

    The module is registered for as long as this takes, so that one manager serves all plugins and none affects others.
    """
    try:
        manager.register(module)
        manager.check_pending()
        hooks = [
            (kind, implementation.function)
            for kind in hookspecs.KINDS
            for implementation in getattr(manager.hook, f"lowvision_{kind}").get_hookimpls()
        ]
    except pluggy.PluginValidationError as error:
        known = ", ".join(f"lowvision_{kind}" for kind in hookspecs.KINDS)
        raise PluginError(f"{error}; the hooks are {known}") from None
    finally:
        if manager.is_registered(module):
            manager.unregister(module)
    if not hooks:
        raise PluginError(f"{module.__name__} has no hooks; mark a function such as lowvision_tasks with @hookimpl")
    return hooks


def _checked(kind: str, contract: type[Options], components: Any) -> Iterable[tuple[str, type]]:
    if not isinstance(components, Mapping):
        raise PluginError(f"lowvision_{kind} must return a mapping name -> class, not {type(components).__name__}")
    for name, component in components.items():
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            raise PluginError(f"lowvision_{kind}: name {name!r} must be lower-case letters, digits, _ and -")
        if not (isinstance(component, type) and issubclass(component, contract)):
            hint = "; return the class, without ()" if isinstance(component, contract) else ""
            raise PluginError(
                f"lowvision_{kind}: '{name}' must be a subclass of {contract.__name__}, not {component!r}{hint}"
            )
        if missing := getattr(component, "__abstractmethods__", None):
            raise PluginError(f"lowvision_{kind}: '{name}' does not define {', '.join(sorted(missing))}")
        yield name, component
