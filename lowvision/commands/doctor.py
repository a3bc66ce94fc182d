"""What `lowvision doctor` finds: what this installation consists of, and what is wrong with it, with the way out."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from typing import Any

from packaging.requirements import Requirement

from lowvision.errors import LowvisionError, summary_of
from lowvision.plugins import registry
from lowvision.plugins.contracts import Runtime
from lowvision.plugins.registry import Registry
from lowvision.system.distributions import installed_version

DISTRIBUTION = "lowvision-framework"
UNRELATED = "lowvision"
"""The distribution of another project, which brings a package of the same name."""
OPENCV = tuple(f"opencv{contrib}-python{headless}" for contrib in ("", "-contrib") for headless in ("-headless", ""))
"""All of them write into the same folder, cv2."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong."""

    what: str
    way_out: str


@dataclass(frozen=True)
class Dependency:
    """A distribution that this one, or an extra of it, requires."""

    name: str
    wanted: str
    """The versions that do."""
    version: str | None
    """That is installed; None: none is."""
    extra: str | None
    """The extra that wants it; None: it is always wanted."""

    @property
    def fits(self) -> bool:
        """Whether the installed version is one that does."""
        return self.version is not None and Requirement(self.name + self.wanted).specifier.contains(
            self.version, prereleases=True
        )


def document() -> dict[str, Any]:
    """Versions, devices, runtimes, plugins and the cache, and under `problems` all that is wrong."""
    problems: list[Problem] = []
    dependencies = tuple(_dependencies())
    problems += _unmet(dependencies)
    problems += _crowded()
    plugins, wrong = _plugins()
    problems += wrong
    devices, wrong = _devices()
    problems += wrong
    cache, wrong = _cache()
    problems += wrong
    return {
        "lowvision": installed_version(DISTRIBUTION),
        "python": platform.python_version(),
        "system": platform.platform(),
        "dependencies": [asdict(dependency) for dependency in dependencies],
        "cores": _cores(),
        "devices": devices,
        "runtimes": _runtimes(plugins),
        "plugins": [f"{plugin.name} {plugin.version}".rstrip() for plugin in plugins.plugins],
        "left_out": [plugin.name for plugin in plugins.left_out],
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith("LOWVISION_")},
        "cache": cache,
        "problems": [asdict(problem) for problem in problems],
    }


def text(document: Mapping[str, Any]) -> str:
    """The document as lines for a person."""
    return "\n".join(_lines(document))


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield f"lowvision {document['lowvision'] or 'is not installed'}, Python {document['python']}, {document['system']}"
    versions = [f"{d['name']} {d['version']}" for d in document["dependencies"] if d["version"]]
    yield f"libraries: {', '.join(dict.fromkeys(versions))}"
    cores = document["cores"]
    yield f"cores: {cores['usable']} of {cores['all']} ({cores['name'] or 'unknown'})"
    yield f"devices: {', '.join(document['devices']) or 'unknown'}"
    for name, missing in document["runtimes"].items():
        yield f"runtime {name}: {missing or 'ready'}"
    yield f"plugins: {', '.join(document['plugins'])}"
    if document["left_out"]:
        yield f"left out by {registry.LIMIT}: {', '.join(document['left_out'])}"
    for name, value in document["variables"].items():
        yield f"{name}={value}"
    if document["cache"]:
        yield "cache: {place}, {gigabytes:.2f} GiB of at most {limit:.0f} GiB".format(**document["cache"])
    problems = document["problems"]
    yield f"{len(problems)} wrong:" if problems else "nothing wrong"
    for problem in problems:
        yield f"  {problem['what']}"
        yield f"    {problem['way_out']}"


def _dependencies() -> Iterator[Dependency]:
    """What the installed distribution says that it requires; of its extra for development nothing."""
    for line in metadata.requires(DISTRIBUTION) or () if installed_version(DISTRIBUTION) else ():
        requirement = Requirement(line)
        found = re.search(r"extra == ['\"]([\w.-]+)['\"]", str(requirement.marker or ""))
        extra = found[1] if found else None
        if extra == "dev" or (requirement.marker and not requirement.marker.evaluate({"extra": extra or ""})):
            continue
        yield Dependency(requirement.name, str(requirement.specifier), installed_version(requirement.name), extra)


def _unmet(dependencies: tuple[Dependency, ...]) -> Iterator[Problem]:
    """What is missing, and what is installed in a version that does not do."""
    if installed_version(DISTRIBUTION) is None:
        yield Problem(
            f"{DISTRIBUTION} is not installed, so its plugins and their versions are not known",
            "pip install -e . in a checkout",
        )
    for there in dependencies:
        if not there.fits and (there.version is not None or there.extra is None):
            has = f"{there.name} {there.version} is installed" if there.version else f"{there.name} is not installed"
            yield Problem(f"{has}; wanted is {there.name}{there.wanted}", f"pip install '{there.name}{there.wanted}'")


def _crowded() -> Iterator[Problem]:
    """Distributions that write the same files."""
    if unrelated := installed_version(UNRELATED):
        yield Problem(
            f"'{UNRELATED}' {unrelated}, of an unrelated project, is installed; its package is called like ours",
            f"pip uninstall {UNRELATED}, then pip install --force-reinstall --no-deps {DISTRIBUTION}",
        )
    opencv = [name for name in OPENCV if installed_version(name)]
    if len(opencv) > 1:
        yield Problem(
            f"{' and '.join(opencv)} are installed at once; each has overwritten files of the other",
            f"pip uninstall {' '.join(opencv)}, then pip install {OPENCV[0]}",
        )
    for module, plugins in registry.named().items():
        owners = sorted({plugin.distribution for plugin in plugins})
        if len(owners) > 1:
            redundant = [owner for owner in owners if owner != DISTRIBUTION][-1]
            yield Problem(
                f"{' and '.join(owners)} both bring the plugin {module}; which of them is used is chance",
                f"pip uninstall {redundant}, then reinstall {' '.join(o for o in owners if o != redundant)}",
            )


def _plugins() -> tuple[Registry, list[Problem]]:
    """The plugins that every command would load, whatever is wrong with them."""
    problems = []
    everyone = registry.installed()
    try:
        wanted = registry.chosen(everyone, os.environ.get(registry.LIMIT, ""))
    except LowvisionError as error:
        problems.append(Problem(str(error), f"unset {registry.LIMIT}, or correct the name"))
        wanted = everyone
    known = Registry(wanted, [plugin for plugin in everyone if plugin not in wanted])
    if (strict := os.environ.get(registry.STRICT, "")) not in ("", "0", "1"):
        problems.append(Problem(f"{registry.STRICT} is {strict!r}", f"set {registry.STRICT} to 1 or to 0, or unset it"))
    problems += [
        Problem(
            f"plugin {broken.plugin} (from {broken.distribution}) failed to load: {broken.reason}",
            f"update it or what it imports, or pip uninstall {broken.distribution}",
        )
        for broken in known.broken
    ]
    problems += [
        Problem(
            known.claim(kind, name),
            f"uninstall one of them, or name the plugins that you want in {registry.LIMIT}; so neither can be used",
        )
        for kind, name in known.clashes
    ]
    return known, problems


def _runtimes(known: Registry) -> dict[str, str | None]:
    """Each runtime, and why it cannot be used where it cannot."""
    found: dict[str, str | None] = {}
    for name, entry in known["runtimes"].items():
        runtime: Runtime = entry.component()
        found[name] = runtime.missing()
    return found


def _devices() -> tuple[list[str], list[Problem]]:
    """What PyTorch can work on."""
    try:
        torch = import_module("torch")
    except (ImportError, OSError) as error:  # OSError: a shared library that it needs is not there
        return [], [Problem(f"PyTorch cannot be imported: {summary_of(error)}", "pip install --force-reinstall torch")]
    cuda = [f"cuda:{k} {torch.cuda.get_device_name(k)}" for k in range(torch.cuda.device_count())]
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])], []


def _cores() -> dict[str, Any]:
    """How many cores there are, how many of them this process may use, and what they are."""
    try:
        usable: int | None = len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux tells
        usable = os.cpu_count()
    return {"all": os.cpu_count(), "usable": usable, "name": _cpu_name()}


def _cpu_name() -> str:
    try:
        from lowvision.system import devices
    except (ImportError, OSError):  # it needs PyTorch, which is told of elsewhere
        return platform.processor()
    return devices.cpu_name()


def _cache() -> tuple[dict[str, Any] | None, list[Problem]]:
    """Where the cache is and how much is in it."""
    from lowvision.system import cache

    place = cache.root()
    there = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    problems = []
    if not (there.is_dir() and os.access(there, os.W_OK)):
        problems.append(Problem(f"{place}: the cache cannot be written", "set LOWVISION_CACHE to another folder"))
    try:
        limit = cache.limit()
    except LowvisionError as error:
        return None, [*problems, Problem(str(error), "set LOWVISION_CACHE_LIMIT to a number, or unset it")]
    return {"place": str(place), "gigabytes": cache.size() / 2**30, "limit": limit / 2**30}, problems
