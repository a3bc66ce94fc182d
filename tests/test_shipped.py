"""Claims about the recipes that come with lowvision: their names, and copies of them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lowvision import registry, shipped
from lowvision.errors import RecipeError, UsageError
from lowvision.recipe import reading

ALL = shipped.names()


def test_every_recipe_has_a_name_and_the_quick_ones_come_first() -> None:
    there = [path.relative_to(shipped.folder()) for path in shipped.folder().rglob("*.yml")]
    assert {Path(f"{name}.yml") for name in ALL} == set(there)
    assert "sr_carn" in ALL
    assert "paper/sr_carn" in ALL
    assert [name.count("/") for name in ALL] == sorted(name.count("/") for name in ALL)


def test_an_installed_package_carries_its_recipes_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "__file__", str(tmp_path / "lowvision" / "shipped.py"))
    (tmp_path / "recipes").mkdir()  # of somebody else, beside the package
    (tmp_path / "lowvision" / "recipes" / "more").mkdir(parents=True)
    (tmp_path / "lowvision" / "recipes" / "more" / "one.yml").touch()
    assert shipped.names() == ("more/one",)


@pytest.mark.parametrize("name", ALL)
def test_a_recipe_says_what_it_is(name: str) -> None:
    path = shipped.path_of(name)
    assert path is not None
    assert shipped.about(path).endswith(".")
    assert "schema" not in shipped.about(path)


def test_a_word_is_a_file_or_the_name_of_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shipped.find(Path("paper/sr_carn")) == shipped.path_of("paper/sr_carn")
    Path("sr_carn").mkdir()  # such as an exported package
    assert shipped.find(Path("sr_carn")) == shipped.path_of("sr_carn")
    Path("sr_fsrcnn").touch()
    assert shipped.find(Path("sr_fsrcnn")) == Path("sr_fsrcnn")
    assert shipped.find(Path("none.yml")) == Path("none.yml")  # its reader tells


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("sr_carm", "sr_carm: no such file, and no recipe of that name comes with lowvision; did you mean 'sr_carn'?"),
        ("xyz", "comes with lowvision; there are de"),
        (
            "recipes/sr_carn.yml",
            "recipes/sr_carn.yml: no such file; the recipe that comes with lowvision is called sr_",
        ),
        ("recipes/paper/sr_carn.yml", "is called paper/sr_carn alone"),
    ],
)
def test_a_word_that_is_neither_gets_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError) as caught:
        shipped.find(Path(word))
    assert told in str(caught.value)


@pytest.mark.parametrize("name", ALL)
def test_a_copy_says_the_same(tmp_path: Path, name: str) -> None:
    known = registry.load()
    original = shipped.path_of(name)
    assert original is not None
    made = shipped.copy(name, str(tmp_path / "mine.yml"))
    assert reading.read(made.file, known) == reading.read(original, known)
    assert (made.extends is None) == ("extends:" not in original.read_text())
    assert made.file.read_text().startswith("# yaml-language-server: $schema=schema.json\n")


def test_a_copy_goes_to_a_file_or_into_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shipped.copy("sr_carn", ".").file == Path("sr_carn.yml")
    assert shipped.copy("paper/sr_carn", "new/folder").file == Path("new/folder/sr_carn.yml")
    assert shipped.copy("sr_carn", "new/mine.yaml").file == Path("new/mine.yaml")
    assert sorted(path.name for path in Path("new").rglob("*")) == ["folder", "mine.yaml", "sr_carn.yml"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(Path("sr_carn.yml").stat().st_mode) == 0o666 & ~mask


def test_a_copy_replaces_nothing_unless_forced(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yml"
    mine.write_text("mine")
    with pytest.raises(UsageError, match=r"mine\.yml: is there already; give another .* or --force"):
        shipped.copy("sr_carn", str(mine))
    assert mine.read_text() == "mine"
    assert shipped.copy("sr_carn", str(mine), force=True).file == mine
    assert "carn" in mine.read_text()


def test_a_recipe_is_not_copied_over_itself() -> None:
    with pytest.raises(UsageError, match="is the recipe that comes with lowvision itself"):
        shipped.copy("sr_carn", str(shipped.folder()), force=True)


def test_only_what_comes_with_lowvision_is_copied(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").touch()
    with pytest.raises(RecipeError, match=r"mine\.yml: does not come with lowvision; `lowvision ls recipes`"):
        shipped.copy(str(tmp_path / "mine.yml"), str(tmp_path / "other.yml"))
    with pytest.raises(RecipeError, match="did you mean 'sr_carn'"):
        shipped.copy("sr_carm", str(tmp_path))


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"sr_carn\.yml: cannot be written: "):
        shipped.copy("sr_carn", str(tmp_path / "file" / "below"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
