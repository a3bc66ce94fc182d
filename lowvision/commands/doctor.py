"""Implement `lowvision doctor`: describe this installation and its problems, each with a way out."""

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
from lowvision.plugins import entry_points, registry
from lowvision.plugins.contracts import Runtime
from lowvision.plugins.registry import Registry
from lowvision.system.distributions import installed_version

DISTRIBUTION = "lowvision-framework"
UNRELATED = "lowvision"
"""Distribution of an unrelated project that installs a package of the same name."""
OPENCV = tuple(f"opencv{contrib}-python{headless}" for contrib in ("", "-contrib") for headless in ("-headless", ""))
"""Distributions that all install the same folder, cv2."""


@dataclass(frozen=True)
class Problem:
    """A problem of the installation and its way out."""

    problem: str
    solution: str


@dataclass(frozen=True)
class Dependency:
    """A distribution that lowvision, or an extra of it, requires."""

    name: str
    required: str
    """Accepted versions."""
    version: str | None
    """Installed version; None: not installed."""
    extra: str | None
    """Extra that requires it; None: always required."""

    @property
    def fits(self) -> bool:
        """True if the installed version is accepted."""
        return self.version is not None and Requirement(self.name + self.required).specifier.contains(
            self.version, prereleases=True
        )


def document() -> dict[str, Any]:
    """Return versions, devices, runtimes, plugins and the cache, and all `problems`."""
    problems: list[Problem] = []
    dependencies = tuple(_dependencies())
    problems += _unmet(dependencies)
    problems += _conflicts()
    problems += _misplaced()
    plugins, plugin_problems = _plugins()
    devices, device_problems = _devices()
    cache, cache_problems = _cache()
    problems += [*plugin_problems, *device_problems, *cache_problems]
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
    """Format the document as text."""
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
        yield f"left out by {entry_points.LIMIT}: {', '.join(document['left_out'])}"
    for name, value in document["variables"].items():
        yield f"{name}={value}"
    if document["cache"]:
        yield "cache: {folder}, {size_gib:.2f} GiB of at most {limit_gib:.0f} GiB".format(**document["cache"])
    problems = document["problems"]
    yield f"{len(problems)} wrong:" if problems else "nothing wrong"
    for problem in problems:
        yield f"  {problem['problem']}"
        yield f"    {problem['solution']}"


def _dependencies() -> Iterator[Dependency]:
    """Return the requirements of the installed distribution, without those of its extra `dev`."""
    for line in metadata.requires(DISTRIBUTION) or () if installed_version(DISTRIBUTION) else ():
        requirement = Requirement(line)
        match = re.search(r"extra == ['\"]([\w.-]+)['\"]", str(requirement.marker or ""))
        extra = match[1] if match else None
        if extra == "dev" or (requirement.marker and not requirement.marker.evaluate({"extra": extra or ""})):
            continue
        yield Dependency(requirement.name, str(requirement.specifier), installed_version(requirement.name), extra)


def _unmet(dependencies: tuple[Dependency, ...]) -> Iterator[Problem]:
    """Return the requirements that are missing or installed in a version that is not accepted."""
    if installed_version(DISTRIBUTION) is None:
        yield Problem(
            f"{DISTRIBUTION} is not installed, so its plugins and their versions are unknown",
            "pip install -e . in a checkout",
        )
    for dependency in dependencies:
        if not dependency.fits and (dependency.version is not None or dependency.extra is None):
            state = f"{dependency.version} is installed" if dependency.version else "is not installed"
            required = f"{dependency.name}{dependency.required}"
            yield Problem(f"{dependency.name} {state}; required is {required}", f"pip install '{required}'")


def _conflicts() -> Iterator[Problem]:
    """Return the distributions that overwrite files of each other."""
    if unrelated := installed_version(UNRELATED):
        yield Problem(
            f"'{UNRELATED}' {unrelated}, an unrelated project whose package has the same name, is installed",
            f"pip uninstall {UNRELATED}, then pip install --force-reinstall --no-deps {DISTRIBUTION}",
        )
    opencv = [name for name in OPENCV if installed_version(name)]
    if len(opencv) > 1:
        yield Problem(
            f"{' and '.join(opencv)} are both installed; each overwrites files of the other",
            f"pip uninstall {' '.join(opencv)}, then pip install {OPENCV[0]}",
        )
    for module, plugins in entry_points.by_module().items():
        owners = sorted({plugin.distribution for plugin in plugins})
        if len(owners) > 1:
            redundant = [owner for owner in owners if owner != DISTRIBUTION][-1]
            yield Problem(
                f"{' and '.join(owners)} both install the plugin {module}; either may be used",
                f"pip uninstall {redundant}, then reinstall {' '.join(o for o in owners if o != redundant)}",
            )


def _misplaced() -> Iterator[Problem]:
    """Return the entry points that are not read, because their group only resembles that of plugins."""
    for point in entry_points.misplaced():
        owner = point.dist.name if point.dist else "?"
        yield Problem(
            f"the entry point {point.name} of {owner} is in group '{point.group}', so {point.module} is not loaded",
            f"write [project.entry-points.{entry_points.GROUP}] in its pyproject.toml, and install {owner} again",
        )


def _plugins() -> tuple[Registry, list[Problem]]:
    """Load the plugins as every command does, and return the registry with their problems."""
    problems = []
    installed = entry_points.installed()
    try:
        selected = entry_points.chosen(installed, os.environ.get(entry_points.LIMIT, ""))
    except LowvisionError as error:
        problems.append(Problem(str(error), f"unset {entry_points.LIMIT}, or correct the name"))
        selected = installed
    components = Registry(selected, [plugin for plugin in installed if plugin not in selected])
    if (strict := os.environ.get(registry.STRICT, "")) not in ("", "0", "1"):
        problems.append(Problem(f"{registry.STRICT} is {strict!r}", f"set {registry.STRICT} to 1 or to 0, or unset it"))
    problems += [
        Problem(
            f"plugin {broken.plugin} (from {broken.distribution}) failed to load: {broken.reason}",
            f"update it or what it imports, or pip uninstall {broken.distribution}",
        )
        for broken in components.broken
    ]
    problems += [
        Problem(
            components.claim(kind, name),
            f"uninstall one of them, or select plugins with {entry_points.LIMIT}; until then neither can be used",
        )
        for kind, name in components.clashes
    ]
    return components, problems


def _runtimes(components: Registry) -> dict[str, str | None]:
    """Return each runtime and what it lacks, None if nothing."""
    missing: dict[str, str | None] = {}
    for name, entry in components["runtimes"].items():
        runtime: Runtime = entry.component()
        missing[name] = runtime.missing()
    return missing


def _devices() -> tuple[list[str], list[Problem]]:
    """Return the devices of PyTorch."""
    try:
        torch = import_module("torch")
    except (ImportError, OSError) as error:  # OSError: a shared library that it needs is not there
        return [], [Problem(f"PyTorch cannot be imported: {summary_of(error)}", "pip install --force-reinstall torch")]
    cuda = [f"cuda:{k} {torch.cuda.get_device_name(k)}" for k in range(torch.cuda.device_count())]
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])], []


def _cores() -> dict[str, Any]:
    """Return the number of cores, the number that this process may use, and the CPU's name."""
    try:
        usable: int | None = len(os.sched_getaffinity(0))
    except AttributeError:  # Linux only
        usable = os.cpu_count()
    return {"all": os.cpu_count(), "usable": usable, "name": _cpu_name()}


def _cpu_name() -> str:
    try:
        from lowvision.system import devices
    except (ImportError, OSError):  # PyTorch cannot be imported; `_devices` reports it
        return platform.processor()
    return devices.cpu_name()


def _cache() -> tuple[dict[str, Any] | None, list[Problem]]:
    """Return the cache's folder, size and limit."""
    from lowvision.system import cache

    root = cache.root()
    existing = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
    problems = []
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        problems.append(Problem(f"{root}: the cache cannot be written", "set LOWVISION_CACHE to another folder"))
    try:
        limit = cache.limit()
    except LowvisionError as error:
        return None, [*problems, Problem(str(error), "set LOWVISION_CACHE_LIMIT to a number, or unset it")]
    return {"folder": str(root), "size_gib": cache.size() / 2**30, "limit_gib": limit / 2**30}, problems
