"""Documentation pages to test with: their code blocks, sections and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced code of a page in one language."""
    return [code for kind, code in FENCE.findall(page.read_text()) if kind == language]


def block_of(page: Path, name: str) -> str:
    """Return the fenced code whose first line is a comment with the name of its file."""
    matches = [code for _, code in FENCE.findall(page.read_text()) if code.startswith(f"# {name}\n")]
    assert len(matches) == 1, name
    return matches[0]


def sections(page: Path, mark: str) -> dict[str, str]:
    """Map each heading of one level to the text below it."""
    parts = re.split(rf"^{mark} (.+)\n", page.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(text: str) -> Iterator[list[str]]:
    """Yield the rows of the first table in a text, without its head, as cells."""
    first = re.search(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    lines = first[0].splitlines() if first else []
    for line in lines[2:]:
        yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
