"""Import OpenVINO without its telemetry: `import openvino` alone sends an event to its authors, without consent."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

LIBRARY = "openvino_telemetry"
"""The package that sends events; if it is missing, OpenVINO uses a stub."""


@contextmanager
def hidden(package: str) -> Iterator[None]:
    """Make imports of a package fail inside the block."""
    former = sys.modules.get(package)
    sys.modules[package] = None  # type: ignore[assignment]  # what the import system documents for this
    try:
        yield
    finally:
        if former is None:
            del sys.modules[package]
        else:
            sys.modules[package] = former


with hidden(LIBRARY):
    import openvino as openvino
