"""Claims about the documentation: what it says of recipes, files, commands and plugins is true of the code."""

from __future__ import annotations

import ast
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from pydantic import BaseModel

from lowvision import cli, testing
from lowvision.config import yaml_reader
from lowvision.config.options import Options
from lowvision.errors import RecipeError
from lowvision.models.architecture import Tile
from lowvision.plugins import folder_dataset, hookspecs, registry
from lowvision.recipe import models, reading, stages
from lowvision.training.options import Fit, RoutedFit

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    *sorted(DOCS.glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md") if (ROOT / name).is_file()),
]
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^]]*\]\(([^)\s]+)\)")
FOLDERS = ("lowvision/", "plugins/", "recipes/", "tests/", "docs/", "benchmarks/")

TABLES: dict[str, list[type[BaseModel]]] = {
    "The recipe": [models.Recipe],
    "A branch": [models.Branch],
    "`tile`": [Tile],
    "`data`": [models.Data],
    "A folder": [folder_dataset.Folder],
    "Every stage that trains": [Fit],
    "`stages`": [stages.Stages],
    "`stages.rank`": [stages.Rank],
    "`stages.branches`": [stages.Branches],
    "`stages.base`": [stages.Base],
    "`stages.classifier` and `stages.joint`": [stages.Joint, RoutedFit],
    "`stages.classifier` alone": [stages.ClassifierStage],
    "`stages.calibrate`": [stages.Calibrate],
    "`stages.evaluate`": [stages.Evaluate],
}
"""The tables of docs/recipes.md by their headings, and the models whose fields each lists."""


def blocks(page: Path, language: str) -> list[str]:
    """The fenced code of a page in one language."""
    return [code for kind, code in FENCE.findall(page.read_text()) if kind == language]


def block_of(page: Path, name: str) -> str:
    """The fenced code whose first line is a comment with the name of its file."""
    found = [code for _, code in FENCE.findall(page.read_text()) if code.startswith(f"# {name}\n")]
    assert len(found) == 1, name
    return found[0]


def sections(page: Path, mark: str) -> dict[str, str]:
    """Heading -> the text below it, for headings of one kind."""
    parts = re.split(rf"^{mark} (.+)\n", page.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(text: str) -> Iterator[list[str]]:
    """The rows of a table, without its head, as cells."""
    lines = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("|")]
    for line in lines[2:]:
        yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def fields_of(kinds: list[type[BaseModel]]) -> dict[str, Any]:
    """The fields that a heading's table must list: a stage's own, without those that all training has."""
    first = kinds[0]
    if issubclass(first, Fit) and first is not Fit:
        changed = {name for kind in kinds for name in kind.__annotations__}
        return {name: first.model_fields[name] for name in first.model_fields if name in changed}
    return dict(first.model_fields)


def default_of(cell: str) -> Any:
    """The default that a table's cell tells."""
    return yaml_reader.parse(cell.strip("`"), "docs").value


def slugs(page: Path) -> set[str]:
    """The anchors of a page: headings as forges make them, and explicit ones."""
    text = page.read_text()
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}
    return made | set(re.findall(r'<a id="([^"]+)"', text))


def words_of(page: Path) -> Iterator[str]:
    """Every inline code and every line of fenced code."""
    text = page.read_text()
    for _, code in FENCE.findall(text):
        yield from code.splitlines()
    yield from re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


def names_in(path: Path) -> set[str]:
    """What a module defines: `name` and `Class.name`."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return found


def floors() -> list[list[str]]:
    """The floors of the house, highest first, as the import linter is told."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in told if contract["type"] == "layers")
    return [[module.strip() for module in re.split("[:|]", layer)] for layer in layers]


@EVERY_PAGE
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in slugs(target), link


@EVERY_PAGE
def test_every_file_and_every_name_in_it_exists(page: Path) -> None:
    for words in words_of(page):
        for word in re.findall(r"[\w./:-]+", words):
            path, _, name = word.rstrip(".:").partition(":")
            if not path.startswith(FOLDERS) or "lowvision-plain" in words:
                continue
            made = page.name == "write-a-plugin.md" and path == "tests/test_plain.py"
            assert made or (ROOT / path).exists(), word
            assert not name or name in names_in(ROOT / path), word


@EVERY_PAGE
def test_every_command_exists(page: Path) -> None:
    known = typer.main.get_command(cli.app)
    for words in words_of(page):
        found = re.match(r"(?:\$ |\.venv/bin/|torchrun .* -m )?lowvision ((?:--debug )?[a-z][\w-]*)(.*)", words)
        if not found:
            continue
        name = found[1].removeprefix("--debug ")
        assert name in known.commands, words
        command = known.commands[name]
        options = {option for parameter in command.params for option in parameter.opts}
        rest = re.sub(r"'[^']*'", "", found[2].partition("#")[0])
        assert set(re.findall(r"(?<=\s)--?[a-z][\w-]*", rest)) <= options, words


@EVERY_PAGE
def test_no_page_tells_to_install_the_unrelated_distribution(page: Path) -> None:
    assert not re.search(r"pip install (-\S+ )*lowvision(?!-)", page.read_text())


def test_every_word_of_the_menus_is_a_hook_that_the_tutorial_lists() -> None:
    told = [row[:3] for row in rows(sections(DOCS / "write-a-plugin.md", "##")["Hooks"])]
    assert told == [
        [f"`lowvision_{kind}`", f"`{kind}`", f"`{contract.__name__}`"] for kind, contract in hookspecs.KINDS.items()
    ]


@pytest.mark.parametrize("contract", hookspecs.KINDS.values(), ids=lambda contract: contract.__name__)
def test_every_member_of_a_contract_is_told(contract: type[Options]) -> None:
    table = sections(DOCS / "write-a-plugin.md", "###")[contract.__name__]
    told = {re.match(r"\w+", row[0].strip("`"))[0] for row in rows(table)}  # type: ignore[index]  # a row has a name
    own = {name for name in vars(contract) if not name.startswith("_") and not name.startswith("model_")}
    assert told == own | set(contract.model_fields) | set(contract.__abstractmethods__)


@pytest.mark.parametrize("heading", TABLES)
def test_every_field_of_a_recipe_is_told_with_its_default(heading: str) -> None:
    told = {row[0].strip("`"): row for row in rows(sections(DOCS / "recipes.md", "###")[heading])}
    fields = fields_of(TABLES[heading])
    assert told.keys() == fields.keys()
    for name, (_, _, default, meaning) in told.items():
        field = fields[name]
        assert meaning
        if field.is_required():
            assert default == "required", name
        elif field.default is None:
            assert default == "absent", name
        elif isinstance(field.default, Options):
            assert default == "its defaults", name
            assert field.default == type(field.default)()
        else:
            assert default_of(default) == field.default, name


def test_the_complaints_shown_are_those_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = DOCS / "recipes.md"
    shutil.copy(ROOT / "recipes" / "sr_fsrcnn.yml", tmp_path)
    (tmp_path / "my.yml").write_text(block_of(page, "my.yml"))
    monkeypatch.chdir(tmp_path)
    ours = registry.Registry(p for p in registry.installed() if p.module.startswith(("lowvision.", "lowvision_")))
    shown = [
        said
        for text in blocks(page, "text")
        for said in re.split(r"^\$ lowvision check ", text, flags=re.MULTILINE)[1:]
    ]
    assert len(shown) == 6
    for said in shown:
        command, complaints = said.strip().split("\n", 1)
        recipe, *overrides = re.findall(r"'[^']+'|\S+", command)
        with pytest.raises(RecipeError) as caught:
            reading.read(recipe, ours, [word.strip("'") for word in overrides])
        assert str(caught.value) == complaints


def test_the_recipes_shown_have_no_fault(tmp_path: Path) -> None:
    known = registry.load()
    for number, text in enumerate(blocks(DOCS / "recipes.md", "yaml")):
        path = tmp_path / f"{number}.yml"
        if text.startswith("# my.yml"):
            continue
        rest = "" if "task:" in text else "task: sr\nclassifier: class_module\n"
        path.write_text(rest + text)
        assert reading.read(path, known).branches


def test_the_folders_shown_are_data_sets(tmp_path: Path) -> None:
    (data,) = blocks(DOCS / "index.md", "yaml")
    path = tmp_path / "r.yml"
    path.write_text(f"task: sr\nclassifier: class_module\nbackbone: carn\n{data}")
    recipe = reading.read(path, registry.load())
    assert all(isinstance(s, folder_dataset.Folder) for s in (recipe.data.train, recipe.data.valid, recipe.data.test))


@pytest.fixture
def tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[registry.Registry]:
    """The registry with the plugins of the tutorial, imported from the page's own code."""
    page = DOCS / "write-a-plugin.md"
    names = ("lowvision_plain", "lowvision_more")
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(block_of(page, f"{name}/__init__.py"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # for check_plugin, which asks in a process of its own
    more = [registry.Plugin(name, name.replace("_", "-"), "0.1.0") for name in names]
    yield registry.Registry([*registry.installed(), *more])
    for name in names:
        sys.modules.pop(name, None)


def test_the_backbone_of_the_tutorial_is_a_plugin_whose_levels_cost_more_and_more(
    tutorial: registry.Registry, tmp_path: Path
) -> None:
    assert not [broken for broken in tutorial.broken if "plain" in broken.plugin]
    path = tmp_path / "plain.yml"
    path.write_text(block_of(DOCS / "write-a-plugin.md", "plain.yml"))
    recipe = reading.read(path, tutorial)
    with torch.device("meta"):
        container = recipe.architecture.build_container()
    prices = container.branches.prices((3, 32, 32))
    assert len(prices) == 3
    assert prices[0] < prices[1] < prices[2]


def test_the_backbone_of_the_tutorial_has_fifteen_lines() -> None:
    lines = block_of(DOCS / "write-a-plugin.md", "lowvision_plain/__init__.py").splitlines()[1:]
    assert len([line for line in lines if line]) == 15


def test_the_tutorials_own_tests_pass(tutorial: registry.Registry) -> None:
    program: dict[str, Any] = {}
    exec(block_of(DOCS / "write-a-plugin.md", "tests/test_plain.py"), program)
    tests = [test for name, test in program.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()


def test_the_failure_shown_is_that_of_the_check(tutorial: registry.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = tutorial.find("backbones", "plain").component
    monkeypatch.setattr(plain, "reach", lambda self, task: 2)
    with pytest.raises(AssertionError) as caught:
        testing.check_backbone(plain(channels=8))
    shown = [" ".join(text.split()) for text in blocks(DOCS / "write-a-plugin.md", "text")]
    assert str(caught.value) in shown


def test_every_check_is_told_with_what_it_takes() -> None:
    told = sections(DOCS / "write-a-plugin.md", "##")["Test it"]
    checks = {name for name in testing.__all__ if name.islower()}
    shown = {row[0].strip("`") for row in rows(told)}
    assert shown == {f"{name}({', '.join(signature(getattr(testing, name)).parameters)})" for name in checks}
    assert all(f"`{name}`" in told for name in set(testing.__all__) - checks)


def test_the_tutorials_distribution_names_its_module() -> None:
    made = tomllib.loads(block_of(DOCS / "write-a-plugin.md", "pyproject.toml"))
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert made["project"]["entry-points"][registry.GROUP] == {"plain": "lowvision_plain"}
    assert root["project"]["name"] in made["project"]["dependencies"]


def test_one_of_each_works(tutorial: registry.Registry, tmp_path: Path) -> None:
    assert not [broken for broken in tutorial.broken if "more" in broken.plugin]
    path = tmp_path / "more.yml"
    path.write_text(
        "task: darkness\nbackbone: {plain: {channels: 8}}\nreduce: {halved: [2, 1, 0]}\n"
        "classifier: contrast\ndata: {test: {newest: {path: .}}}\n"
    )
    recipe = reading.read(path, tutorial)
    container = recipe.architecture.build_container()
    gt = torch.rand(2, 3, 16, 16)
    lq = recipe.task.degrade(gt, torch.Generator())
    assert torch.equal(recipe.task.baseline(lq), gt)
    image, probabilities = container(lq)
    assert image.shape == gt.shape
    assert probabilities.shape == (2, 3)
    prices = container.branches.prices((3, 16, 16))
    assert prices[0] < prices[1] < prices[2]
    testing.check_task(recipe.task)
    testing.check_classifier(recipe.architecture.classifier, exportable=False)  # type: ignore[arg-type]  # it has one
    testing.check_reducer(tutorial.find("reducers", "halved").component(), recipe.base, [2, 1, 0])


def test_the_face_is_told_whole() -> None:
    face = import_module("lowvision")
    told = sections(DOCS / "write-a-plugin.md", "##")["The face"]
    assert [name for name in face.__all__ if not name.startswith("_") and f"`{name}" not in told] == []


def test_the_floors_told_are_those_that_are_enforced() -> None:
    table = sections(DOCS / "architecture.md", "##")["The floors"]
    told = [re.findall(r"`([\w.]+)`", row[1]) for row in rows(table) if row[0].isdigit()]
    assert told == floors()


def test_the_picture_shows_every_room_on_its_floor() -> None:
    picture = (DOCS / "architecture.svg").read_text()
    placed = {name: float(y) for y, name in re.findall(r'y="([\d.]+)" class="name"[^>]*>(\w+)<', picture)}
    heights = [{placed[room.removeprefix("lowvision.")] for room in rooms} for rooms in floors()]
    assert all(len(height) == 1 for height in heights)
    assert heights == sorted(heights, key=min)


def test_every_room_of_the_core_is_told() -> None:
    told = sections(DOCS / "architecture.md", "##")["The rooms"]
    paths = [path for path in (ROOT / "lowvision").iterdir() if not path.name.startswith("_")]
    assert [path.name for path in paths if path.name not in told] == []


def test_every_word_of_the_glossary_has_a_sentence() -> None:
    told = (DOCS / "glossary.md").read_text()
    meanings = [row[1] for table in told.split("\n\n") for row in rows(table)]
    assert meanings
    assert all(meaning.endswith(".") for meaning in meanings)


def test_the_citation_names_this_version_and_the_paper() -> None:
    citation = yaml_reader.read(ROOT / "CITATION.cff").value
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (citation["cff-version"], citation["type"]) == ("1.2.0", "software")
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    (paper,) = citation["references"]
    assert [author["family-names"] for author in paper["authors"]] == ["Kong", "Zhao", "Qiao", "Dong"]
    assert paper["identifiers"] == ({"type": "other", "value": "arXiv:2103.04039"},)
