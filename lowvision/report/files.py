"""Writes a report's files, each at once or not at all."""

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


def write(folder: Path, document: Document, metrics: Sequence[Mapping[str, Any]], pictures: Path | None) -> None:
    """Leave report.json, report.txt and report.html in `folder`; a reader sees old files or whole new ones.

    JSON knows no infinity: a number that is not finite becomes null. Raises RunError where the disk fails.
    """
    _put(folder / "report.json", json.dumps(_strict(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    _put(folder / "report.txt", text(document))
    _put(folder / "report.html", html(document, metrics, pictures))


def _put(path: Path, content: str) -> None:
    try:
        with whole(path) as part:
            part.write_text(content, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{path}: cannot write: {error.strerror}") from error


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _strict(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
