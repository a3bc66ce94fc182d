"""Claims about packaging: the root distribution contains every plugin as the plugin's own distribution does."""

from __future__ import annotations

import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from lowvision.recipe import shipped

ROOT = Path(__file__).parent.parent
FOLDERS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
SECTIONS = ("# {name}", "## Provides", "## In a recipe", "## Sources")


def read(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text())


def packages(pyproject: dict[str, Any]) -> list[str]:
    return pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_every_plugin_folder_is_a_distribution() -> None:
    assert sorted(path for path in (ROOT / "plugins").iterdir() if path.is_dir()) == FOLDERS


def test_the_root_has_exactly_the_entry_points_of_its_plugins() -> None:
    points: dict[str, str] = {}
    for folder in FOLDERS:
        points |= read(folder)["project"]["entry-points"]["lowvision"]
    assert read(ROOT)["project"]["entry-points"]["lowvision"] == points


def test_the_root_ships_exactly_the_packages_of_its_plugins() -> None:
    included = [f"plugins/{folder.name}/{package}" for folder in FOLDERS for package in packages(read(folder))]
    assert packages(read(ROOT)) == ["lowvision", *included]
    assert all((ROOT / package / "__init__.py").is_file() for package in packages(read(ROOT)))


def test_the_wheel_contains_the_recipes_where_the_installed_package_reads_them() -> None:
    included = read(ROOT)["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included == {"recipes": "lowvision/recipes"}
    assert shipped.folder() == ROOT / "recipes"


def test_the_wheel_contains_every_template_of_new_plugin() -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel")
    included = {file.distribution_path for file in wheel.WheelBuilder(str(ROOT)).recurse_included_files()}
    templates = (path for path in (ROOT / "lowvision/scaffold/templates").rglob("*") if path.is_file())
    assert [path for path in templates if path.relative_to(ROOT).as_posix() not in included] == []


def test_a_plugin_distribution_has_the_name_of_its_folder(folder: Path) -> None:
    pyproject = read(folder)
    package = folder.name.replace("-", "_")
    assert pyproject["project"]["name"] == folder.name
    assert packages(pyproject) == [package]
    assert list(pyproject["project"]["entry-points"]["lowvision"].values()) == [package]


def test_the_root_includes_every_dependency_of_its_plugins(folder: Path) -> None:
    dependencies = set(read(folder)["project"]["dependencies"])
    ours = {need for need in dependencies if need.startswith("lowvision-")}  # part of the root
    assert "lowvision-framework>=0.1" in ours
    assert dependencies - ours <= set(read(ROOT)["project"]["dependencies"])


@pytest.mark.parametrize("key", ["version", "license", "requires-python"])
def test_a_plugin_has_the_version_and_metadata_of_the_root(folder: Path, key: str) -> None:
    assert read(folder)["project"][key] == read(ROOT)["project"][key]


def test_a_plugin_has_the_build_backend_of_the_root(folder: Path) -> None:
    assert read(folder)["build-system"] == read(ROOT)["build-system"]


def test_every_readme_has_the_same_sections(folder: Path) -> None:
    lines = (folder / "README.md").read_text().splitlines()
    headings = tuple(line for line in lines if line.startswith("#") and not line.startswith("###"))
    assert len(headings) == len(SECTIONS)
    for heading, section in zip(headings, SECTIONS, strict=True):
        assert heading.startswith(section.format(name=folder.name))


def plugin_packages() -> list[str]:
    return sorted(folder.name.replace("-", "_") for folder in FOLDERS)


def contract(name: str) -> dict[str, Any]:
    contracts = {entry["name"]: entry for entry in read(ROOT)["tool"]["importlinter"]["contracts"]}
    return contracts[name]


def test_mypy_finds_exactly_the_plugins() -> None:
    root, *others = read(ROOT)["tool"]["mypy"]["mypy_path"].split(":")
    assert root == "$MYPY_CONFIG_FILE_DIR"
    assert sorted(others) == [f"{root}/plugins/{folder.name}" for folder in FOLDERS], "tool.mypy.mypy_path"


def test_import_linter_reads_lowvision_and_exactly_the_plugins() -> None:
    listed = read(ROOT)["tool"]["importlinter"]["root_packages"]
    assert sorted(listed) == ["lowvision", *plugin_packages()], "tool.importlinter.root_packages"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("The core never imports a plugin", "forbidden_modules"),
        ("Plugins import only the face", "source_modules"),
        ("Plugins never import each other", "modules"),
    ],
)
def test_every_import_contract_covers_exactly_the_plugins(name: str, key: str) -> None:
    assert sorted(contract(name)[key]) == plugin_packages(), f"import contract '{name}': {key}"


@pytest.mark.parametrize("script", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_a_benchmark_does_not_hide_an_installed_package(script: Path) -> None:
    # Python searches the folder of a script first: benchmarks/accelerate.py would be imported as `accelerate`.
    assert script.stem not in packages_distributions()
