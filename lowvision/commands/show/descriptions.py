"""Build the documents of components, weights files and exported packages."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowvision.commands.show import options
from lowvision.plugins import hookspecs
from lowvision.plugins.contracts import Runtime
from lowvision.plugins.registry import Entry, Registry

if TYPE_CHECKING:
    from lowvision.models.calibration import Curve


def component(entry: Entry, kind: str) -> dict[str, Any]:
    """Describe a component as far as possible without building it."""
    contract = hookspecs.KINDS[kind]
    properties = sorted(getattr(contract, "__class_vars__", ()))
    return {
        "kind": contract.__name__.lower(),
        "plural": kind,
        "name": entry.name,
        "about": inspect.cleandoc(entry.component.__doc__ or ""),
        "plugin": entry.plugin,
        "distribution": entry.distribution,
        "version": entry.version,
        "class": f"{entry.component.__module__}:{entry.component.__qualname__}",
        "properties": {name: _property(getattr(entry.component, name)) for name in properties},
        "options": options.documents(entry.component),
        **({"missing": entry.component().missing()} if issubclass(entry.component, Runtime) else {}),
    }


def weights_file(path: Path, registry: Registry, width: int | None, height: int | None) -> dict[str, Any]:
    """Describe a weights file or an exported package: networks, measured figures, required plugins.

    Raises WeightsError if it is neither, or if a required plugin is missing.
    """
    from lowvision.commands.show import networks
    from lowvision.inference import package
    from lowvision.models import calibration, weights

    header = package.read(path, registry).header if path.is_dir() else weights.check(path, registry)
    size, curve = header.architecture.tile.size, calibration.read(header.measured)
    facts = header.model_dump(mode="json", exclude={"architecture", "kind"}, context=registry)
    return {
        "kind": "exported package" if path.is_dir() else "weights file",
        "name": path.name,
        "holds": header.kind,
        "file": str(path),
        "bytes": sum(file.stat().st_size for file in ([*path.iterdir()] if path.is_dir() else [path])),
        **networks.of_architecture(header.architecture, registry, width or size, height or size),
        **facts,
        **({"curve": _curve(curve)} if curve else {}),
    }


def _curve(curve: Curve) -> dict[str, Any]:
    """Describe loss and cost of each point, and the cost of each speed of `lowvision restore` that can be kept."""
    speeds = {name: curve.shares[curve.k.index(k)] for name, k in curve.speeds().items()}
    return {"loss": curve.losses, "share_of_base_whole": curve.shares, "speeds": speeds}


def _property(value: Any) -> Any:
    """Return the value of a class attribute; for a property, a note that its value depends on the options."""
    return "follows from the options" if isinstance(value, property) else value
