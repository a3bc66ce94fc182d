"""Claims about what surrounds the code: the documentation site, workflows, hooks and templates."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
YAML_FILES = sorted(
    [*ROOT.glob(".github/**/*.yml"), ROOT / ".pre-commit-config.yaml", ROOT / "mkdocs.yml", ROOT / "CITATION.cff"]
)


def parsed(path: Path) -> dict[str, Any]:
    """Parse a YAML file to a mapping."""
    content = yaml.safe_load(path.read_text())
    assert isinstance(content, dict)
    return content


def paths_in(nav: Any) -> list[str]:
    """Yield the pages of a navigation at any depth."""
    if isinstance(nav, str):
        return [nav]
    entries = nav.values() if isinstance(nav, dict) else nav
    return [path for entry in entries for path in paths_in(entry)]


def listed_names() -> list[str]:
    """Return the objects that the API reference shows."""
    return [
        name
        for page in REFERENCE.glob("*.md")
        for name in re.findall(r"^::: ([\w.]+)$", page.read_text(), re.MULTILINE)
    ]


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_a_configuration_file_is_a_yaml_mapping(path: Path) -> None:
    assert parsed(path)


def test_every_docs_page_is_in_the_navigation_once() -> None:
    pages = paths_in(parsed(ROOT / "mkdocs.yml")["nav"])
    assert len(pages) == len(set(pages))
    written = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    notebooks = {f"gallery/{path.stem}.md" for path in (ROOT / "docs" / "gallery").glob("*.ipynb")}
    assert set(pages) == written | notebooks | {"CHANGELOG.md", "CONTRIBUTING.md"}


@pytest.mark.parametrize("module", ["lowvision", "lowvision.layers", "lowvision.testing"])
def test_the_reference_shows_every_public_name_once(module: str) -> None:
    from test_public_api import names_of

    public = {f"{module}.{name}" for name in names_of(import_module(module)) if not name.startswith("__")}
    shown = [name for name in listed_names() if name.rpartition(".")[0] == module]
    assert sorted(shown) == sorted(public)


def test_workflows_test_every_version_of_python_that_the_package_supports() -> None:
    versions = parsed(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert versions == ["3.11", "3.12", "3.13", "3.14"]
    assert project["requires-python"] == f">={versions[0]}"


def test_workflows_call_only_targets_of_the_makefile() -> None:
    jobs = parsed(ROOT / ".github" / "workflows" / "ci.yml")["jobs"].values()
    steps = [step.get("run", "") for job in jobs for step in job["steps"]]
    called = {match for step in steps for match in re.findall(r"\bmake (\w+)", step)}
    assert called == {"check", "test", "docs"}
    assert called <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_pre_commit_runs_the_tools_of_make_check() -> None:
    hooks = [hook["entry"] for repo in parsed(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    tools = {entry.split()[0].rpartition("/")[2] for entry in hooks}
    check = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert check
    assert tools == set(re.findall(r"\$\(BIN\)/([\w-]+)", check[1]))


def test_the_package_ships_py_typed() -> None:
    assert (ROOT / "lowvision" / "py.typed").is_file()
