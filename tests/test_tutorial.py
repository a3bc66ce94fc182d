"""Claims about docs/write-a-plugin.md: its code works, and it lists every hook, member, check and public name."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch
from pages import DOCS, ROOT, block_of, blocks, rows, sections

from lowvision import testing
from lowvision.config.options import Options
from lowvision.plugins import contracts, entry_points, hookspecs, registry
from lowvision.recipe import reading


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
    more = [entry_points.Plugin(name, name.replace("_", "-"), "0.1.0") for name in names]
    yield registry.Registry([*entry_points.installed(), *more])
    for name in names:
        sys.modules.pop(name, None)


def test_the_tutorial_backbone_costs_more_at_every_level(tutorial: registry.Registry, tmp_path: Path) -> None:
    assert not [broken for broken in tutorial.broken if "plain" in broken.plugin]
    path = tmp_path / "plain.yml"
    path.write_text(block_of(DOCS / "write-a-plugin.md", "plain.yml"))
    recipe = reading.read(path, tutorial)
    with torch.device("meta"):
        container = recipe.architecture.build_container()
    costs = container.branches.costs((3, 32, 32))
    assert len(costs) == 3
    assert costs[0] < costs[1] < costs[2]


def test_the_tutorial_backbone_has_fifteen_lines() -> None:
    lines = block_of(DOCS / "write-a-plugin.md", "lowvision_plain/__init__.py").splitlines()[1:]
    assert len([line for line in lines if line]) == 15


def test_the_tutorials_own_tests_pass(tutorial: registry.Registry) -> None:
    program: dict[str, Any] = {}
    exec(block_of(DOCS / "write-a-plugin.md", "tests/test_plain.py"), program)
    tests = [test for name, test in program.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()


def test_the_failure_shown_equals_the_output_of_the_check(
    tutorial: registry.Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert pyproject["project"]["entry-points"][entry_points.GROUP] == {"plain": "lowvision_plain"}
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
    costs = container.branches.costs((3, 16, 16))
    assert costs[0] < costs[1] < costs[2]
    testing.check_task(recipe.task)
    testing.check_classifier(recipe.architecture.classifier, exportable=False)  # type: ignore[arg-type]  # it has one
    testing.check_reducer(tutorial.find("reducers", "halved").component(), recipe.base, [2, 1, 0])


@pytest.mark.parametrize(
    ("name", "check"),
    [("Cut", testing.check_loss), ("Patches", testing.check_loss), ("Worst", testing.check_metric)],
)
def test_the_tutorials_losses_and_its_metric_pass_their_checks(
    name: str, check: Callable[[Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = blocks(DOCS / "write-a-plugin.md", "python")
    code = next(text for text in page if text.startswith(f"class {name}("))
    (tmp_path / f"tutorial_{name.lower()}.py").write_text(f"from lowvision import Critic, Loss, Metric\n\n\n{code}")
    monkeypatch.syspath_prepend(tmp_path)
    check(getattr(import_module(f"tutorial_{name.lower()}"), name)())


def test_the_tutorials_backbone_with_two_forms_passes_its_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lowvision_widened").mkdir()
    for name in ("lowvision_widened/__init__.py", "lowvision_widened/network.py"):
        (tmp_path / name).write_text(block_of(DOCS / "write-a-plugin.md", name))
    monkeypatch.syspath_prepend(tmp_path)
    wide = import_module("lowvision_widened").Wide(channels=4)
    task = registry.load().find("tasks", "sr").component(scale=2)
    testing.check_backbone(wide, tasks=(task,), half=False, exportable=False)


def test_the_public_api_is_listed_completely() -> None:
    section = sections(DOCS / "write-a-plugin.md", "##")["Public API"]
    public = [name for name in import_module("lowvision").__all__ if not name.startswith("_")]
    assert [name for name in public if f"`{name}" not in section] == []
