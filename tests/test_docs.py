"""Claims about the documentation: recipes, files, commands, plugins and tables on its pages match the code."""

from __future__ import annotations

import ast
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import typer
from documents import document
from pydantic import BaseModel

from lowvision import cli, testing
from lowvision.config import yaml_reader
from lowvision.config.options import Options
from lowvision.errors import RecipeError
from lowvision.models.architecture import Tile
from lowvision.plugins import contracts, folder_dataset, hookspecs, registry
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
"""The tables of docs/recipes.md by heading, with the models whose fields each lists."""


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
def test_every_file_and_every_name_in_it_exists(page: Path) -> None:
    for snippet in snippets(page):
        for word in re.findall(r"[\w./:-]+", snippet):
            path, _, name = word.rstrip(".:").partition(":")
            if not path.startswith(FOLDERS) or "lowvision-plain" in snippet:
                continue
            in_tutorial = page.name == "write-a-plugin.md" and path == "tests/test_plain.py"
            assert in_tutorial or (ROOT / path).exists(), word
            assert not name or name in names_in(ROOT / path), word


@EVERY_PAGE
def test_every_command_exists(page: Path) -> None:
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


def test_the_tutorial_lists_every_hook_with_its_kind_and_contract() -> None:
    listed = [row[:3] for row in rows(sections(DOCS / "write-a-plugin.md", "##")["Hooks"])]
    assert listed == [
        [f"`lowvision_{kind}`", f"`{kind}`", f"`{contract.__name__}`"] for kind, contract in hookspecs.KINDS.items()
    ]


@pytest.mark.parametrize("contract", hookspecs.KINDS.values(), ids=lambda contract: contract.__name__)
def test_the_tutorial_lists_every_member_of_a_contract(contract: type[Options]) -> None:
    table = sections(DOCS / "write-a-plugin.md", "###")[contract.__name__]
    listed = {re.match(r"\w+", row[0].strip("`"))[0] for row in rows(table)}  # type: ignore[index]  # a row has a name
    own = {name for name in vars(contract) if not name.startswith("_") and not name.startswith("model_")}
    assert listed == own | set(contract.model_fields) | set(contract.__abstractmethods__)


@pytest.mark.parametrize("base", [contracts.EarlyExit, contracts.Adaptive], ids=lambda base: base.__name__)
def test_the_tutorial_lists_every_method_of_a_network_base_class(base: type) -> None:
    table = sections(DOCS / "write-a-plugin.md", "###")[base.__name__]
    listed = [re.match(r"\w+", row[0].strip("`"))[0] for row in rows(table)]  # type: ignore[index]  # a row has a name
    assert listed == [name for name in vars(base) if name in base.__abstractmethods__ and name != "forward"]


def test_every_building_block_listed_is_public() -> None:
    table = sections(DOCS / "write-a-plugin.md", "###")["Building blocks"]
    listed = {name for row in rows(table) for name in re.findall(r"`(\w+)", row[0])}
    public = ast.parse((ROOT / "lowvision" / "layers" / "__init__.py").read_text()).body
    assert listed == {name.asname for node in public if isinstance(node, ast.ImportFrom) for name in node.names} - {
        None
    }


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
        elif field.default is None:
            assert default == "absent", name
        elif isinstance(field.default, Options):
            assert default == "its defaults", name
            assert field.default == type(field.default)()
        else:
            assert default_of(default) == field.default, name


def test_the_errors_shown_are_those_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = DOCS / "recipes.md"
    shutil.copy(ROOT / "recipes" / "sr_fsrcnn.yml", tmp_path)
    (tmp_path / "my.yml").write_text(block_of(page, "my.yml"))
    monkeypatch.chdir(tmp_path)
    first_party = registry.Registry(
        p for p in registry.installed() if p.module.startswith(("lowvision.", "lowvision_"))
    )
    shown = [part for text in blocks(page, "text") for part in re.split(r"^\$ lowvision check ", text, flags=re.M)[1:]]
    assert len(shown) == 6
    for part in shown:
        command, errors = part.strip().split("\n", 1)
        recipe, *overrides = re.findall(r"'[^']+'|\S+", command)
        with pytest.raises(RecipeError) as caught:
            reading.read(recipe, first_party, [text.strip("'") for text in overrides])
        assert str(caught.value) == errors


def test_the_recipes_shown_are_valid(tmp_path: Path) -> None:
    components = registry.load()
    for number, text in enumerate(blocks(DOCS / "recipes.md", "yaml")):
        path = tmp_path / f"{number}.yml"
        if text.startswith("# my.yml"):
            continue
        missing = "" if "task:" in text else "task: sr\nclassifier: class_module\n"
        path.write_text(missing + text)
        assert reading.read(path, components).branches


def test_the_folders_shown_are_data_sets(tmp_path: Path) -> None:
    (data,) = blocks(DOCS / "index.md", "yaml")
    path = tmp_path / "r.yml"
    path.write_text(f"task: sr\nclassifier: class_module\nbackbone: carn\n{data}")
    recipe = reading.read(path, registry.load())
    assert all(isinstance(s, folder_dataset.Folder) for s in (recipe.data.train, recipe.data.valid, recipe.data.test))


@pytest.fixture
def tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[registry.Registry]:
    """Yield a registry with the plugins of the tutorial, imported from the code on the page."""
    page = DOCS / "write-a-plugin.md"
    names = ("lowvision_plain", "lowvision_more")
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(block_of(page, f"{name}/__init__.py"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # for check_plugin, which imports in a separate process
    more = [registry.Plugin(name, name.replace("_", "-"), "0.1.0") for name in names]
    yield registry.Registry([*registry.installed(), *more])
    for name in names:
        sys.modules.pop(name, None)


def test_the_backbone_of_the_tutorial_costs_more_at_every_level(tutorial: registry.Registry, tmp_path: Path) -> None:
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


def test_every_check_is_listed_with_its_parameters() -> None:
    section = sections(DOCS / "write-a-plugin.md", "##")["Test it"]
    checks = {name for name in testing.__all__ if name.islower()}
    shown = {row[0].strip("`") for row in rows(section)}
    assert shown == {f"{name}({', '.join(signature(getattr(testing, name)).parameters)})" for name in checks}
    assert all(f"`{name}`" in section for name in set(testing.__all__) - checks)


def test_the_tutorials_distribution_names_its_module() -> None:
    pyproject = tomllib.loads(block_of(DOCS / "write-a-plugin.md", "pyproject.toml"))
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert pyproject["project"]["entry-points"][registry.GROUP] == {"plain": "lowvision_plain"}
    assert root["project"]["name"] in pyproject["project"]["dependencies"]


def test_the_other_components_of_the_tutorial_work(tutorial: registry.Registry, tmp_path: Path) -> None:
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


def test_the_public_api_is_listed_completely() -> None:
    section = sections(DOCS / "write-a-plugin.md", "##")["Public API"]
    public = [name for name in import_module("lowvision").__all__ if not name.startswith("_")]
    assert [name for name in public if f"`{name}" not in section] == []


def test_the_layers_listed_are_those_of_the_import_linter() -> None:
    table = sections(DOCS / "architecture.md", "##")["Layers"]
    listed = [re.findall(r"`([\w.]+)`", row[1]) for row in rows(table) if row[0].isdigit()]
    assert listed == layers()


def test_the_picture_shows_every_package_in_its_layer() -> None:
    picture = (DOCS / "architecture.svg").read_text()
    placed = {name: float(y) for y, name in re.findall(r'y="([\d.]+)" class="name"[^>]*>(\w+)<', picture)}
    heights = [{placed[package.removeprefix("lowvision.")] for package in layer} for layer in layers()]
    assert all(len(height) == 1 for height in heights)
    assert heights == sorted(heights, key=min)


def test_every_package_of_the_core_is_listed() -> None:
    section = sections(DOCS / "architecture.md", "##")["Packages"]
    paths = [path for path in (ROOT / "lowvision").iterdir() if not path.name.startswith("_")]
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


def test_the_tables_page_follows_from_the_stored_measurements(tables: ModuleType) -> None:
    assert (DOCS / "tables.md").read_text() == "\n".join(tables.page())


def test_a_stored_table_gives_back_what_was_evaluated(tables: ModuleType) -> None:
    (evaluated,) = document(branches=2)["sets"]
    (stored,) = tables.load_table(tables.dump_table(document(branches=2)))["sets"]
    for way in ("input", "base_tiled", "routed"):
        assert stored["images"][0][way] == evaluated["images"][0][way]
        assert stored["mean"][way] == evaluated["mean"][way]


def test_the_stored_tables_are_compact() -> None:
    sizes = [path.stat().st_size for path in (ROOT / "benchmarks" / "tables").glob("*.jsonl")]
    assert 0 < sum(sizes) < 300_000


def test_the_citation_names_this_version_and_the_paper() -> None:
    citation = yaml_reader.read(ROOT / "CITATION.cff").value
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (citation["cff-version"], citation["type"]) == ("1.2.0", "software")
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    (paper,) = citation["references"]
    assert [author["family-names"] for author in paper["authors"]] == ["Kong", "Zhao", "Qiao", "Dong"]
    assert paper["identifiers"] == ({"type": "other", "value": "arXiv:2103.04039"},)
