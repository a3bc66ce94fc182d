"""Claims about the recipes that come with lowvision and its plugins: their names, and copies of them."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lowvision.errors import RecipeError, UsageError
from lowvision.plugins import entry_points, registry
from lowvision.plugins.entry_points import Plugin
from lowvision.plugins.registry import Registry
from lowvision.recipe import reading, shipped

KNOWN = registry.load()
ALL = shipped.recipes(KNOWN)


def test_every_recipe_has_a_name_and_the_quick_ones_come_first() -> None:
    there = [path.relative_to(shipped.folder()) for path in shipped.folder().rglob("*.yml")]
    assert {Path(f"{name}.yml") for name in ALL} == set(there)  # our plugins contain no recipes
    assert "sr_carn" in ALL
    assert "paper/sr_carn" in ALL
    assert [name.count("/") for name in ALL] == sorted(name.count("/") for name in ALL)


def test_an_installed_package_contains_its_recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "__file__", str(tmp_path / "lowvision" / "recipe" / "shipped.py"))
    (tmp_path / "recipes").mkdir()  # unrelated, next to the package
    (tmp_path / "lowvision" / "recipes" / "more").mkdir(parents=True)
    (tmp_path / "lowvision" / "recipes" / "more" / "one.yml").touch()
    assert [*shipped.recipes(Registry([]))] == ["more/one"]


@pytest.mark.parametrize("name", ALL)
def test_a_recipe_has_a_description(name: str) -> None:
    assert shipped.about(ALL[name]).endswith(".")
    assert "schema" not in shipped.about(ALL[name])


def test_an_argument_is_a_file_or_the_name_of_a_shipped_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shipped.find(Path("paper/sr_carn"), KNOWN) == ALL["paper/sr_carn"]
    Path("sr_carn").mkdir()  # such as an exported package
    assert shipped.find(Path("sr_carn"), KNOWN) == ALL["sr_carn"]
    Path("sr_fsrcnn").touch()
    assert shipped.find(Path("sr_fsrcnn"), KNOWN) == Path("sr_fsrcnn")
    assert shipped.find(Path("none.yml"), KNOWN) == Path("none.yml")  # reading reports the missing file


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("sr_carnn", "sr_carnn: no such file, and no shipped recipe of that name; did you mean 'sr_carn'?"),
        ("xyz", "no shipped recipe of that name; there are de"),
        (
            "recipes/sr_carn.yml",
            "recipes/sr_carn.yml: no such file; give the name of the shipped recipe, sr_carn",
        ),
        ("recipes/paper/sr_carn.yml", "give the name of the shipped recipe, paper/sr_carn"),
    ],
)
def test_an_unknown_argument_is_an_error_with_a_suggestion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argument: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError) as caught:
        shipped.find(Path(argument), KNOWN)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ALL)
def test_a_copied_recipe_equals_the_original(tmp_path: Path, name: str) -> None:
    copied = shipped.copy(name, str(tmp_path / "mine.yml"), KNOWN)
    assert reading.read(copied.file, KNOWN) == reading.read(ALL[name], KNOWN)
    assert (copied.extends is None) == ("extends:" not in ALL[name].read_text())
    assert copied.file.read_text().startswith("# yaml-language-server: $schema=schema.json\n")


def test_a_copy_is_written_to_a_file_or_into_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shipped.copy("sr_carn", ".", KNOWN).file == Path("sr_carn.yml")
    assert shipped.copy("paper/sr_carn", "new/folder", KNOWN).file == Path("new/folder/sr_carn.yml")
    assert shipped.copy("sr_carn", "new/mine.yaml", KNOWN).file == Path("new/mine.yaml")
    assert sorted(path.name for path in Path("new").rglob("*")) == ["folder", "mine.yaml", "sr_carn.yml"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(Path("sr_carn.yml").stat().st_mode) == 0o666 & ~mask


def test_a_copy_replaces_a_file_only_if_forced(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yml"
    mine.write_text("mine")
    with pytest.raises(UsageError, match=r"mine\.yml: exists already; give another .* or --force"):
        shipped.copy("sr_carn", str(mine), KNOWN)
    assert mine.read_text() == "mine"
    assert shipped.copy("sr_carn", str(mine), KNOWN, force=True).file == mine
    assert "carn" in mine.read_text()


def test_a_recipe_is_not_copied_over_itself() -> None:
    with pytest.raises(UsageError, match="is the shipped recipe itself"):
        shipped.copy("sr_carn", str(shipped.folder()), KNOWN, force=True)


def test_only_shipped_recipes_can_be_copied(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").touch()
    with pytest.raises(RecipeError, match=r"mine\.yml: is not a shipped recipe; `lowvision ls recipes`"):
        shipped.copy(str(tmp_path / "mine.yml"), str(tmp_path / "other.yml"), KNOWN)
    with pytest.raises(RecipeError, match="did you mean 'sr_carn'"):
        shipped.copy("sr_carnn", str(tmp_path), KNOWN)


def test_an_unwritable_target_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"sr_carn\.yml: cannot be written: "):
        shipped.copy("sr_carn", str(tmp_path / "file" / "below"), KNOWN)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Install a plugin with two recipes: one extends a recipe of lowvision, one its own."""
    package = tmp_path / "acme_recipes"
    (package / "recipes" / "more").mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from lowvision import hookimpl\n\n@hookimpl\ndef lowvision_datasets():\n    return {}\n"
    )
    (package / "recipes" / "short.yml").write_text("# CARN in no time.\nextends: sr_carn\nstages: {base: {steps: 1}}\n")
    (package / "recipes" / "more" / "seeded.yml").write_text("# Another seed.\nextends: ../short.yml\nseed: 7\n")
    (tmp_path / "recipes").mkdir()  # next to a module that is not a package: ignored
    (tmp_path / "recipes" / "lost.yml").write_text("seed: 1\n")
    (tmp_path / "acme_lone.py").write_text((package / "__init__.py").read_text())
    monkeypatch.syspath_prepend(tmp_path)
    modules = ("acme_recipes", "acme_lone", "acme_missing")
    yield Registry([*entry_points.installed(), *(Plugin(module, "acme", "1.0") for module in modules)])
    for module in modules:
        sys.modules.pop(module, None)


def test_recipes_in_a_plugin_package_are_listed_under_its_name(acme: Registry) -> None:
    listed = shipped.recipes(acme)
    assert [name for name in listed if name not in ALL] == ["acme-recipes/more/seeded", "acme-recipes/short"]
    assert shipped.about(listed["acme-recipes/short"]) == "CARN in no time."
    assert list(listed)[: len(ALL)] == list(ALL)


def test_a_plugins_recipe_is_found_extended_and_copied_by_its_name(acme: Registry, tmp_path: Path) -> None:
    seeded = reading.read(shipped.find(Path("acme-recipes/more/seeded"), acme), acme)
    assert seeded.stages.base is not None
    assert (seeded.seed, seeded.stages.base.steps) == (7, 1)
    copied = shipped.copy("acme-recipes/more/seeded", str(tmp_path / "mine.yml"), acme)
    assert (copied.name, copied.extends) == ("acme-recipes/more/seeded", "acme-recipes/short")
    assert reading.read(copied.file, acme) == seeded
    assert shipped.copy("acme-recipes/short", str(tmp_path / "short.yml"), acme).extends == "sr_carn"
    with pytest.raises(RecipeError, match="did you mean 'acme-recipes/short'"):
        shipped.find(Path("acme-recipes/shirt"), acme)
