"""Ask every installed plugin once for its components and keep them, read-only, by kind and name."""

from __future__ import annotations

import difflib
import functools
import importlib
import os
import re
import traceback
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pluggy
from pydantic import PydanticUndefinedAnnotation, PydanticUserError, ValidationError

from lowvision.config.options import Options
from lowvision.errors import PluginError, RecipeError
from lowvision.plugins import folder_dataset, hookspecs

GROUP = "lowvision"
NAME = re.compile(r"[a-z][a-z0-9_-]*")
LIMIT = "LOWVISION_PLUGINS"
"""The variable that names the plugins to be loaded, with commas between; without it, or empty, all are."""
STRICT = "LOWVISION_STRICT"
"""The variable that, when it is 1, makes an error of a plugin that is broken or claims another's name."""


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
    """A plugin that was left out, and why."""

    plugin: str
    distribution: str
    reason: str


@dataclass(frozen=True)
class Plugin:
    """A module that an entry point names, and the distribution that brought it."""

    module: str
    distribution: str
    version: str
    point: str = ""
    """The entry point's own name; empty for the core's."""
    attribute: str = ""
    """What the entry point names within the module; there should be nothing, as hooks stand in the module itself."""

    @property
    def name(self) -> str:
        """The name in listings and messages; the core's own components are those of `lowvision`."""
        return "lowvision" if self.module == folder_dataset.__name__ else self.module.replace("_", "-")


class Registry(Mapping[str, Mapping[str, Entry]]):
    """Read-only components: `registry[kind][name]` is an Entry; kinds are those of `hookspecs.KINDS`."""

    def __init__(self, plugins: Iterable[Plugin], left_out: Iterable[Plugin] = ()):
        self.plugins: tuple[Plugin, ...] = tuple(plugins)
        self.left_out: tuple[Plugin, ...] = tuple(left_out)
        """Installed, but not among those that the variable LOWVISION_PLUGINS names."""
        broken: list[Broken] = []
        offers: dict[tuple[str, str], list[Entry]] = defaultdict(list)
        for plugin in self.plugins:
            try:
                offered = list(_ask(plugin))
            except (Exception, SystemExit) as error:  # whatever a stranger's module raises must not reach the others
                broken.append(Broken(plugin.name, plugin.distribution, _reason(error, plugin)))
                continue
            for kind, entry in offered:
                offers[kind, entry.name].append(entry)
        self.broken: tuple[Broken, ...] = tuple(broken)
        self.clashes: Mapping[tuple[str, str], list[Entry]] = {k: v for k, v in offers.items() if len(v) > 1}
        provided: dict[str, dict[str, Entry]] = {kind: {} for kind in hookspecs.KINDS}
        for (kind, name), entries in offers.items():
            if len(entries) == 1:
                provided[kind][name] = entries[0]
        self._provided = {kind: MappingProxyType(entries) for kind, entries in provided.items()}

    def __getitem__(self, kind: str) -> Mapping[str, Entry]:
        return self._provided[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._provided)

    def __len__(self) -> int:
        return len(self._provided)

    # Two registries are the same only if they are one object: entries hold classes, and caches key by registry.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def find(self, kind: str, name: str) -> Entry:
        """The entry of that name. Raises PluginError when two plugins claim it, RecipeError when none does."""
        if (kind, name) in self.clashes:
            owners = " and ".join(f"{e.plugin} ({e.distribution})" for e in self.clashes[kind, name])
            raise PluginError(f"{_one_of(kind)} '{name}' is claimed by {owners}; uninstall one of them")
        provided = self[kind]
        if name in provided:
            return provided[name]
        near = difflib.get_close_matches(name, provided, n=1)
        if near:
            hint = f"did you mean '{near[0]}'? (from {provided[near[0]].plugin})"
        else:
            hint = f"there are {', '.join(sorted(provided)) or 'none'}"
        raise RecipeError(f"no {_one_of(kind)} named '{name}'; {hint}{self.absent()}")

    def absent(self) -> str:
        """Which plugins could have a name that nobody has: the rest of a sentence, empty where there are none."""
        told = "".join(f"; plugin {b.plugin} failed to load: {b.reason}" for b in self.broken)
        if self.left_out:
            told += f"; {LIMIT} leaves out {', '.join(plugin.name for plugin in self.left_out)}"
        return told

    def entry_of(self, component: object) -> Entry:
        """The entry of the class of `component`. Raises PluginError if no plugin provides it."""
        for provided in self.values():
            for entry in provided.values():
                if entry.component is type(component):
                    return entry
        raise PluginError(f"{type(component).__name__} is not provided by any installed plugin")

    def name_of(self, component: object) -> str:
        """The name under which a plugin provides the class of `component`."""
        return self.entry_of(component).name

    def serialize(self, component: Options) -> dict[str, Any]:
        """As a recipe would spell it with every option: {name: options}, of what JSON can hold."""
        return {self.name_of(component): component.model_dump(mode="json", context=self)}


def load() -> Registry:
    """A registry of the installed plugins, or of those that $LOWVISION_PLUGINS names.

    One that fails to load is kept apart and told in `broken`. Raises PluginError where LOWVISION_PLUGINS names a
    plugin that there is not, and, when LOWVISION_STRICT is 1, where anything is wrong with a plugin.
    """
    everyone = installed()
    wanted = chosen(everyone, os.environ.get(LIMIT, ""))
    strict = os.environ.get(STRICT, "")
    if strict not in ("", "0", "1"):
        raise PluginError(f"{STRICT} is {strict!r}; give 1, which makes errors of broken plugins, or 0")
    registry = Registry(wanted, [plugin for plugin in everyone if plugin not in wanted])
    wrong = [*faults(registry)]
    if strict == "1" and wrong:
        raise PluginError("\n".join(wrong))
    return registry


def faults(registry: Registry) -> Iterable[str]:
    """What is wrong with the plugins, a sentence each: those that are broken, and names that several claim."""
    for broken in registry.broken:
        yield f"plugin {broken.plugin} (from {broken.distribution}) failed to load: {broken.reason}"
    for (kind, name), entries in registry.clashes.items():
        owners = " and ".join(f"{entry.plugin} (from {entry.distribution})" for entry in entries)
        yield f"{_one_of(kind)} '{name}' is claimed by {owners}; neither can be used"


def chosen(plugins: Iterable[Plugin], names: str) -> tuple[Plugin, ...]:
    """Those whose names stand in `names`, with commas between, and the core's own; all where it is empty.

    A plugin is called by its entry point, as `sr`, or by its name in a listing, as `lowvision-sr`.
    Raises PluginError for a name that no plugin has.
    """
    everyone = tuple(plugins)
    wanted = {word.strip().replace("_", "-") for word in names.split(",") if word.strip()}
    if not wanted:
        return everyone
    called = {
        name.replace("_", "-"): plugin for plugin in everyone if plugin.point for name in (plugin.point, plugin.name)
    }
    unknown = sorted(wanted - called.keys())
    if unknown:
        there = ", ".join(plugin.point for plugin in everyone if plugin.point) or "none"
        raise PluginError(f"{LIMIT}: no plugin '{unknown[0]}'; there are {there}")
    return tuple(p for p in everyone if not p.point or p in [called[name] for name in wanted])


def installed() -> tuple[Plugin, ...]:
    """Every module that an entry point of group `lowvision` names, each once.

    The root distribution and a plugin's own may both name a module; that is one plugin.
    """
    core = Plugin(folder_dataset.__name__, "lowvision-framework", "")
    return (core, *(several[0] for _, several in sorted(named().items())))


def named() -> Mapping[str, list[Plugin]]:
    """Every module that an entry point of group `lowvision` names, as each distribution that names it calls it."""
    modules: dict[str, list[Plugin]] = defaultdict(list)
    for point in metadata.entry_points(group=GROUP):
        modules[point.module].append(Plugin(point.module, *_called(point.dist), point.name, point.attr or ""))
    return modules


@functools.cache  # all entry points of a distribution share it, and its whole metadata is read for either word
def _called(distribution: metadata.Distribution | None) -> tuple[str, str]:
    return (distribution.name, distribution.version) if distribution else ("?", "?")


def _one_of(kind: str) -> str:
    """What a thing on that menu is called in a sentence."""
    return kind if kind == "weights" else kind.removesuffix("s")


def _reason(error: BaseException, plugin: Plugin) -> str:
    """Why a plugin is broken, in one line, with the place in its own module where there is one."""
    if isinstance(error, ModuleNotFoundError) and error.name == plugin.module and plugin.point:
        return (
            f"its entry point {plugin.point} names the module {plugin.module}, which is not there; mend it in "
            "pyproject.toml and install it again"
        )
    told = " ".join(f"{type(error).__name__}: {error}".split())
    own = [
        f"{Path(frame.f_code.co_filename).name}, line {line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if f"{frame.f_globals.get('__name__')}.".startswith(f"{plugin.module}.")
    ]
    return f"{told} ({own[-1]})" if own else told


def _ask(plugin: Plugin) -> Iterable[tuple[str, Entry]]:
    """What one plugin offers, as (menu, entry). Raises whatever is wrong with it."""
    if plugin.attribute:
        named = f"{plugin.module}:{plugin.attribute}"
        raise PluginError(f"its entry point {plugin.point} names {named}; name the module alone, where its hooks stand")
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    module = importlib.import_module(plugin.module)
    manager.register(module)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        hooks = ", ".join(f"lowvision_{kind}" for kind in hookspecs.KINDS)
        raise PluginError(f"{error}; the hooks are {hooks}") from None
    if not manager.get_hookcallers(module):
        raise PluginError(f"{plugin.module} offers nothing: mark a function such as lowvision_tasks with @hookimpl")
    for kind, contract in hookspecs.KINDS.items():
        # Each function is called by itself: pluggy's own call drops None, which a forgotten `return` gives.
        for hook in getattr(manager.hook, f"lowvision_{kind}").get_hookimpls():
            for name, component in _checked(kind, contract, hook.function()):
                yield kind, Entry(name, component, plugin.name, plugin.distribution, plugin.version)


def _checked(kind: str, contract: type[Options], offer: Any) -> Iterable[tuple[str, type]]:
    if not isinstance(offer, Mapping):
        raise PluginError(f"lowvision_{kind} must return a mapping name -> class, not {type(offer).__name__}")
    for name, component in offer.items():
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            raise PluginError(f"lowvision_{kind}: name {name!r} must be lower-case letters, digits, _ and -")
        if not (isinstance(component, type) and issubclass(component, contract)):
            made = "; return the class, without ()" if isinstance(component, contract) else ""
            raise PluginError(
                f"lowvision_{kind}: '{name}' must be a subclass of {contract.__name__}, not {component!r}{made}"
            )
        if missing := getattr(component, "__abstractmethods__", None):
            raise PluginError(f"lowvision_{kind}: '{name}' does not define {', '.join(sorted(missing))}")
        if wrong := _wrong_options(component, contract):
            raise PluginError(f"lowvision_{kind}: '{name}' has {wrong}")
        yield name, component


def _wrong_options(component: type[Options], contract: type[Options]) -> str | None:
    """What is wrong with the options that a class declares, whatever a recipe may say of them."""
    for name in component.model_fields.keys() - contract.model_fields.keys():
        if hasattr(contract, name):
            return f"an option '{name}', which every {contract.__name__} has as its own; write `{name} = ...`, untyped"
    try:
        component.model_rebuild()  # a type that was unknown when the class was made may have come since
        component.model_validate({})
    except (PydanticUndefinedAnnotation, PydanticUserError) as error:
        return f"an option whose type is unknown ({error.message}); import it outside of TYPE_CHECKING"
    except ValidationError as error:
        for problem in error.errors():
            if problem["type"] != "missing" and problem["loc"]:
                option, default = problem["loc"][0], problem["input"]
                return f"an option '{option}' that does not allow its own default {default!r}: {problem['msg']}"
    return None
