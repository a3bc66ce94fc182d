"""Claims about docs/gallery: every example runs from top to bottom as a reader would run it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

GALLERY = Path(__file__).parents[1] / "docs" / "gallery"
PAGES = sorted(path for path in GALLERY.glob("*.md") if path.name != "index.md")
NOTEBOOKS = sorted(GALLERY.glob("*.ipynb"))
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run_program(code: str, folder: Path) -> str:
    """Run a program in a new process and an empty folder, and return its output."""
    (folder / "example.py").write_text(code)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "example.py"]
    done = subprocess.run(
        command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def cells_of(notebook: Path) -> list[dict[str, Any]]:
    """Return the code cells of a notebook."""
    return [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_in_order(page: Path, tmp_path: Path) -> None:
    code = PYTHON.findall(page.read_text())
    assert len(code) >= 3
    assert run_program("\n\n".join(code), tmp_path)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_the_cells_of_a_notebook_run_in_order_and_print_what_it_shows(notebook: Path, tmp_path: Path) -> None:
    cells = cells_of(notebook)
    mark = "#--- next cell"
    code = f"\nprint({mark!r})\n".join("".join(cell["source"]) for cell in cells)
    printed = run_program(code, tmp_path).split(f"{mark}\n")
    for cell, text in zip(cells, printed, strict=True):
        shown = "".join("".join(output["text"]) for output in cell["outputs"])
        if "measured" in cell["metadata"].get("tags", ()):
            assert bool(text) == bool(shown)  # seconds and choices differ from run to run
        else:
            assert text == shown


def test_the_gallery_has_four_examples_and_its_index_lists_each() -> None:
    examples = {path.name for path in [*PAGES, *NOTEBOOKS]}
    assert len(examples) == 4
    assert set(re.findall(r"\]\(([\w-]+\.(?:md|ipynb))\)", (GALLERY / "index.md").read_text())) == examples
