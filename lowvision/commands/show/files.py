"""A weights file or an exported package: what stands in its header."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lowvision.commands.show import networks
from lowvision.inference import package
from lowvision.models import weights
from lowvision.plugins.registry import Registry


def document(path: Path, registry: Registry, width: int | None, height: int | None) -> dict[str, Any]:
    """What the networks are, what was measured of them, and the plugins that they need.

    Raises WeightsError where it is no weights file and no exported package, or needs a plugin that is not there.
    """
    header = package.read(path, registry).header if path.is_dir() else weights.read_header(path, registry)
    size = header.architecture.tile.size
    facts = header.model_dump(mode="json", exclude={"architecture", "kind"}, context=registry)
    return {
        "kind": "exported package" if path.is_dir() else "weights file",
        "name": path.name,
        "holds": header.kind,
        "file": str(path),
        "bytes": sum(file.stat().st_size for file in ([*path.iterdir()] if path.is_dir() else [path])),
        **networks.of_architecture(header.architecture, registry, width or size, height or size),
        **facts,
    }
