"""Write the metadata of installed distributions, with entry points, into a folder on the path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def install(
    folder: Path,
    distribution: str,
    module: str = "",
    name: str = "",
    *,
    group: str = "lowvision",
    requires: Sequence[str] = (),
) -> None:
    """Write the metadata of a distribution of version 1.0 into a folder.

    module: module that its entry point names; without it, it has none. name: of the entry point. Default: the module.
    """
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {distribution}",
        "Version: 1.0",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    if module:
        (info / "entry_points.txt").write_text(f"[{group}]\n{name or module} = {module}\n")
