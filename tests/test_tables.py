"""Claims about benchmarks/tables.py: its files are compact and lossless, and docs/tables.md follows from them."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

import pytest
from documents import document
from pages import DOCS, ROOT


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    """Import benchmarks/tables.py."""
    spec = spec_from_file_location("tables", ROOT / "benchmarks" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["tables"] = module  # for its dataclasses
    spec.loader.exec_module(module)
    return module


def test_the_tables_page_equals_the_page_written_from_stored_measurements(tables: ModuleType) -> None:
    assert (DOCS / "tables.md").read_text() == "\n".join(tables.page())


def test_a_stored_table_restores_the_evaluation_document(tables: ModuleType) -> None:
    (evaluated,) = document(branches=2)["sets"]
    (stored,) = tables.load_table(tables.dump_table(document(branches=2)))["sets"]
    for row in ("input", "base_tiled", "routed"):
        assert stored["images"][0][row] == evaluated["images"][0][row]
        assert stored["mean"][row] == evaluated["mean"][row]


def test_the_stored_tables_are_compact() -> None:
    files = [path.read_bytes() for path in (ROOT / "benchmarks" / "tables").glob("*.jsonl")]
    assert files
    assert max(len(file) / (file.count(b"\n") - 1) for file in files) < 1500  # bytes per image
