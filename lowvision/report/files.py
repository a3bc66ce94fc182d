"""Write a report's files atomically."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lowvision.errors import RunError
from lowvision.report.page import html
from lowvision.report.plain import text
from lowvision.report.table import Document
from lowvision.system.atomic import whole

FILES = ("report.json", "report.txt", "report.html")


def write(folder: Path, document: Document, metrics: Sequence[Mapping[str, Any]], pictures: Path | None) -> None:
    """Write FILES into `folder`, each atomically.

    JSON has no infinity and no NaN: such numbers become null. Raises RunError if a file cannot be written.
    """
    _write_file(
        folder / "report.json", json.dumps(_finite(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    )
    _write_file(folder / "report.txt", text(document))
    _write_file(folder / "report.html", html(document, metrics, pictures))


def read(folder: Path) -> Document | None:
    """Return the document of `report.json` in a folder; None if there is no readable one."""
    try:
        document: Document = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document


def _write_file(path: Path, content: str) -> None:
    try:
        with whole(path) as part:
            part.write_text(content, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{path}: cannot write: {error.strerror}") from error


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
