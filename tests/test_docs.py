"""Claims about the documentation: links, files, commands, recipes and layers on its pages match the code."""

from __future__ import annotations

import ast
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pages import DOCS, FENCE, ROOT, block_of, blocks, rows, sections
from pydantic import BaseModel

from lowvision import cli
from lowvision.config import yaml_reader
from lowvision.config.options import Options
from lowvision.errors import RecipeError
from lowvision.models.architecture import Tile
from lowvision.pipeline import core_stages as stages
from lowvision.plugins import entry_points, folder_dataset, registry
from lowvision.recipe import models, reading, stage_menu
from lowvision.training.options import Fit, RoutedFit

PAGES = [
    *sorted(DOCS.glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md") if (ROOT / name).is_file()),
]
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

LINK = re.compile(r"!?\[[^]]*\]\(([^)\s]+)\)")
FOLDERS = ("lowvision/", "plugins/", "recipes/", "tests/", "docs/", "benchmarks/")

TABLES: dict[str, list[type[BaseModel]]] = {
    "The recipe": [models.Recipe],
    "A branch": [models.Branch],
    "`tile`": [Tile],
    "`data`": [models.Data],
    "`teacher`": [models.Teacher],
    "A folder": [folder_dataset.Folder],
    "Every stage that trains": [Fit],
    "`stages.distil`": [stages.Distil, stages.OwnTiles],
    "`stages.rank`": [stages.Rank],
    "`stages.branches`": [stages.Branches, stages.OwnTiles],
    "`stages.base`": [stages.Base, stages.OwnTiles],
    "`stages.classifier` and `stages.joint`": [stages.Joint, RoutedFit, stages.OwnTiles],
    "`stages.classifier` alone": [stages.ClassifierStage],
    "`stages.calibrate`": [stages.Calibrate],
    "`stages.fidelity`": [stages.Fidelity],
    "`stages.evaluate`": [stages.Evaluate],
}
"""The tables of docs/recipes.md by heading, with the models whose fields each lists."""


def fields_of(kinds: list[type[BaseModel]]) -> dict[str, Any]:
    """Return the fields that a heading's table must list: a stage's own, without those of all training."""
    first = kinds[0]
    if issubclass(first, Fit) and first is not Fit:
        changed = {name for kind in kinds for name in kind.__annotations__}
        return {name: first.model_fields[name] for name in first.model_fields if name in changed}
    return dict(first.model_fields)


def default_of(cell: str) -> Any:
    """Parse the default in a table's cell."""
    return yaml_reader.parse(cell.strip("`"), "docs").value


def as_written(default: Any) -> Any:
    """Return a default as a table writes it: components by their names."""
    if isinstance(default, tuple) and default and isinstance(default[0], Options):
        names = tuple(registry.load().name_of(component) for component in default)
        return names if len(names) > 1 else names[0]
    return default


def slugs(page: Path) -> set[str]:
    """Return the anchors of a page: of its headings, and explicit ones."""
    text = page.read_text()
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    generated = {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}
    return generated | set(re.findall(r'<a id="([^"]+)"', text))


def snippets(page: Path) -> Iterator[str]:
    """Yield every inline code and every line of fenced code."""
    text = page.read_text()
    for _, code in FENCE.findall(text):
        yield from code.splitlines()
    yield from re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


def names_in(path: Path) -> set[str]:
    """Return the names that a module defines: `name` and `Class.name`."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return names


def layers() -> list[list[str]]:
    """Return the packages of each layer, highest first, from the import linter's contract."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [[module.strip() for module in re.split("[:|]", layer)] for layer in layers]


@EVERY_PAGE
def test_every_link_has_a_target(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in slugs(target), link


@EVERY_PAGE
def test_every_file_and_name_that_docs_mention_exists(page: Path) -> None:
    for snippet in snippets(page):
        for token in re.findall(r"[\w./:-]+", snippet):
            path, _, name = token.rstrip(".:").partition(":")
            if not path.startswith(FOLDERS) or "lowvision-plain" in snippet:
                continue
            in_tutorial = page.name == "write-a-plugin.md" and path == "tests/test_plain.py"
            assert in_tutorial or (ROOT / path).exists(), token
            assert not name or name in names_in(ROOT / path), token


@EVERY_PAGE
def test_every_command_that_docs_mention_exists(page: Path) -> None:
    commands = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]  # a group
    for snippet in snippets(page):
        match = re.match(r"(?:\$ |\.venv/bin/|torchrun .* -m )?lowvision ((?:--debug )?[a-z][\w-]*)(.*)", snippet)
        if not match:
            continue
        name = match[1].removeprefix("--debug ")
        assert name in commands, snippet
        options = {option for parameter in commands[name].params for option in parameter.opts}
        arguments = re.sub(r"'[^']*'", "", match[2].partition("#")[0])
        assert set(re.findall(r"(?<=\s)--?[a-z][\w-]*", arguments)) <= options, snippet


@EVERY_PAGE
def test_no_page_installs_the_unrelated_distribution(page: Path) -> None:
    assert not re.search(r"pip install (-\S+ )*lowvision(?!-)", page.read_text())


def test_the_stages_of_the_core_are_listed_in_their_order() -> None:
    core = registry.Registry(entry_points.Plugin(module, "lowvision-framework", "") for module in entry_points.CORE)
    listed = [row[0].strip("`") for row in rows(sections(DOCS / "recipes.md", "###")["`stages`"])]
    assert listed == stage_menu.menu(core)


@pytest.mark.parametrize("heading", TABLES)
def test_every_field_of_a_recipe_is_listed_with_its_default(heading: str) -> None:
    listed = {row[0].strip("`"): row for row in rows(sections(DOCS / "recipes.md", "###")[heading])}
    fields = fields_of(TABLES[heading])
    assert listed.keys() == fields.keys()
    for name, (_, _, default, meaning) in listed.items():
        field = fields[name]
        assert meaning
        if field.is_required():
            assert default == "required", name
            continue
        value = field.get_default(call_default_factory=True)
        if value is None:
            assert default == "absent", name
        elif isinstance(value, Options | dict):
            assert default == "its defaults", name
            assert value == type(value)()
        else:
            assert default_of(default) == as_written(value), name


def test_the_errors_shown_equal_the_command_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = DOCS / "recipes.md"
    shutil.copy(ROOT / "recipes" / "sr_fsrcnn.yml", tmp_path)
    (tmp_path / "my.yml").write_text(block_of(page, "my.yml"))
    monkeypatch.chdir(tmp_path)
    first_party = registry.Registry(
        p for p in entry_points.installed() if p.module.startswith(("lowvision.", "lowvision_"))
    )
    shown = [
        part
        for text in blocks(page, "text")
        for part in re.split(r"^\$ lowvision check ", text, flags=re.MULTILINE)[1:]
    ]
    assert len(shown) == 6
    for part in shown:
        command, errors = part.strip().split("\n", 1)
        recipe, *overrides = re.findall(r"'[^']+'|\S+", command)
        with pytest.raises(RecipeError) as caught:
            reading.read(recipe, first_party, [text.strip("'") for text in overrides])
        assert str(caught.value) == errors


def test_the_recipes_shown_in_docs_are_valid(tmp_path: Path) -> None:
    components = registry.load()
    for number, text in enumerate(blocks(DOCS / "recipes.md", "yaml")):
        path = tmp_path / f"{number}.yml"
        if text.startswith("# my.yml"):
            continue
        missing = "" if "task:" in text else "task: sr\nclassifier: class_module\n"
        path.write_text(missing + text)
        assert reading.read(path, components).branches


def test_the_translated_configuration_is_a_valid_recipe(tmp_path: Path) -> None:
    path = tmp_path / "MSRResNet_x4.yml"
    path.write_text(block_of(DOCS / "where-is.md", path.name))
    original = yaml_reader.parse(block_of(DOCS / "where-is.md", "train_MSRResNet_x4.yml"), "docs").value
    recipe = reading.read(path, registry.load())
    train = original["datasets"]["train"]
    base = recipe.stages.base
    assert base is not None
    assert recipe.task.scale * recipe.tile.size == train["gt_size"]
    assert (base.steps, base.batch) == (original["train"]["total_iter"], train["batch_size_per_gpu"])
    assert (base.lr, base.betas) == tuple(original["train"]["optim_g"][key] for key in ("lr", "betas"))
    assert base.min_lr == original["train"]["scheduler"]["eta_min"]
    assert base.cycles == len(original["train"]["scheduler"]["periods"])
    assert base.valid_every == original["val"]["val_freq"]


def test_the_folders_shown_load_as_data_sets(tmp_path: Path) -> None:
    (data,) = blocks(DOCS / "index.md", "yaml")
    path = tmp_path / "r.yml"
    path.write_text(f"task: sr\nclassifier: class_module\nbackbone: carn\n{data}")
    recipe = reading.read(path, registry.load())
    assert all(isinstance(s, folder_dataset.Folder) for s in (recipe.data.train, recipe.data.valid, recipe.data.test))


def test_the_layers_listed_are_those_of_the_import_linter() -> None:
    table = sections(DOCS / "architecture.md", "##")["Layers"]
    listed = [re.findall(r"`([\w.]+)`", row[1]) for row in rows(table) if row[0].isdigit()]
    assert listed == layers()


def test_the_architecture_diagram_shows_every_package_in_its_layer() -> None:
    picture = (DOCS / "architecture.svg").read_text()
    placed = {name: float(y) for y, name in re.findall(r'y="([\d.]+)" class="name"[^>]*>(\w+)<', picture)}
    heights = [{placed[package.removeprefix("lowvision.")] for package in layer} for layer in layers()]
    assert all(len(height) == 1 for height in heights)
    assert heights == sorted(heights, key=min)


def test_every_package_of_the_core_is_listed() -> None:
    section = sections(DOCS / "architecture.md", "##")["Packages"]
    paths = [path for path in (ROOT / "lowvision").iterdir() if not path.name.startswith(("_", "py.typed"))]
    assert [path.name for path in paths if path.name not in section] == []


def glossary() -> list[list[str]]:
    """Return the rows of all tables of the glossary."""
    return [row for table in (DOCS / "glossary.md").read_text().split("\n\n") for row in rows(table)]


def test_every_term_of_the_glossary_has_one_sentence() -> None:
    assert glossary()
    assert [row[0] for row in glossary() if not row[1].endswith(".") or re.search(r"\w{3}\. ", row[1])] == []


def test_every_term_of_the_glossary_is_defined_once() -> None:
    terms = [term for row in glossary() for term in re.sub(r"<a id.*?</a>", "", row[0]).split(", ")]
    assert sorted(terms) == sorted(set(terms))


def test_the_citation_names_this_version_and_the_paper() -> None:
    citation = yaml_reader.read(ROOT / "CITATION.cff").value
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (citation["cff-version"], citation["type"]) == ("1.2.0", "software")
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    (paper,) = citation["references"]
    assert [author["family-names"] for author in paper["authors"]] == ["Kong", "Zhao", "Qiao", "Dong"]
    assert paper["identifiers"] == ({"type": "other", "value": "arXiv:2103.04039"},)
