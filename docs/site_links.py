"""MkDocs hook: brings files from outside docs/ into the site, and points the links of every page at them.

Pages link to files as the repository holds them, so that they read well without the site. A plugin's README becomes a
page, a notebook a page of its cells, and a recipe or a test that a page links to a file of the site.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)
SOURCES: dict[str, str] = {}
"""Page of the site -> the file of the repository that it was made from."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the READMEs of plugins, the notebooks, and the project's own pages."""
    SOURCES.clear()
    for path in [*sorted(ROOT.glob("plugins/*/README.md")), ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]:
        _add(files, config, _site_path(path), path.read_text(), path)
    for path in sorted(ROOT.glob("docs/gallery/*.ipynb")):
        _add(files, config, _site_path(path), _markdown_of(path), path)
    for path in sorted({target for page in list(files.documentation_pages()) for target in _linked_sources(page)}):
        _add(files, config, _site_path(path), path.read_bytes(), path)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a page; a link to a folder, which the site lacks, becomes its text."""
    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else _relinked(part, page.file) for part in parts)


def _add(files: Files, config: MkDocsConfig, src_uri: str, content: str | bytes, source: Path) -> None:
    if src_uri in files.src_uris:
        return
    inclusion = InclusionLevel.NOT_IN_NAV if src_uri.startswith("plugins/") else InclusionLevel.UNDEFINED
    files.append(File.generated(config, src_uri, content=content, inclusion=inclusion))
    SOURCES[src_uri] = str(source.relative_to(ROOT))


def _relinked(text: str, file: File) -> str:
    def replace(match: re.Match[str]) -> str:
        target = _target(file, match[1])
        if target is None or not target.exists():
            return match[0]  # MkDocs reports it
        path = _site_path(target)
        return f"]({posixpath.relpath(path, posixpath.dirname(file.src_uri) or '.')}{match[2] or ''})"

    return LINK.sub(replace, re.sub(r"(?<!!)\[([^]]*)\]\(([^)\s]+)\)", lambda m: _unlinked(m, file), text))


def _unlinked(match: re.Match[str], file: File) -> str:
    target = _target(file, match[2].partition("#")[0])
    return match[1] if target is not None and target.is_dir() else match[0]


def _target(file: File, link: str) -> Path | None:
    """The file of the repository that a page's link leads to."""
    if "://" in link or not link:
        return None
    source = SOURCES.get(file.src_uri, f"docs/{file.src_uri}")
    return Path(os.path.normpath(ROOT / Path(source).parent / link))


def _site_path(path: Path) -> str:
    """The path in the site of a file of the repository."""
    inside = path.relative_to(ROOT).as_posix()
    if inside.startswith("plugins/") and inside.endswith("/README.md"):
        return f"{path.parent.relative_to(ROOT).as_posix()}.md"
    if inside.endswith(".ipynb"):
        return inside.removeprefix("docs/").removesuffix(".ipynb") + ".md"
    if inside.startswith("docs/"):
        return inside.removeprefix("docs/")
    return inside if inside.endswith(".md") else f"source/{inside}"


def _linked_sources(file: File) -> set[Path]:
    """Files outside docs/ that a page links to and that are no page themselves."""
    targets = {_target(file, match[1]) for match in LINK.finditer(FENCE.sub("", file.content_string))}
    return {path for path in targets if path and path.is_file() and ROOT in path.parents and _is_source(path)}


def _is_source(path: Path) -> bool:
    return _site_path(path).startswith("source/") or path.name in {"LICENSE", "README.md"}


def _markdown_of(notebook: Path) -> str:
    """The cells of a notebook, with the text that the code printed."""
    return "\n\n".join(_cell(cell) for cell in json.loads(notebook.read_text())["cells"])


def _cell(cell: dict[str, Any]) -> str:
    text = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return text
    printed = "".join("".join(output.get("text", ())) for output in cell["outputs"])
    return f"```python\n{text}\n```" + (f"\n\n```text\n{printed.rstrip()}\n```" if printed else "")
