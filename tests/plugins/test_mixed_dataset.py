"""Claims about several data sets as one."""

from __future__ import annotations

from pathlib import Path

import pytest
from two_folders import mixed, write_two_folders

from lowvision.data import photographs
from lowvision.errors import RecipeError
from lowvision.plugins import registry
from lowvision.plugins.folder_dataset import Folder
from lowvision.plugins.mixed_dataset import Mixed
from lowvision.recipe import reading

KNOWN = registry.load()
TASK = KNOWN.find("tasks", "denoise").component()


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    return write_two_folders(tmp_path)


def test_photographs_of_all_data_sets_get_unique_names(folders: list[Path]) -> None:
    loaded = photographs.load(mixed(folders), TASK)
    assert [(photograph.name, photograph.part) for photograph in loaded] == [("0/a", 0), ("1/a", 1), ("1/b", 1)]


def test_every_mixed_data_set_keeps_its_options(folders: list[Path]) -> None:
    data = Mixed(of=(Folder(path=str(folders[0]), downscale=2.0), Folder(path=str(folders[1]), scales=(1.0, 0.5))))
    sides = [photograph.gt.shape[0] for photograph in photographs.load(data, TASK)]
    assert sides == [20, 24, 12, 24, 12]


def test_a_list_of_data_sets_in_a_recipe_is_mixed(folders: list[Path], tmp_path: Path) -> None:
    recipe = tmp_path / "mix.yml"
    recipe.write_text(
        f"task: denoise\nbackbone: dncnn\ndata:\n  train: [{folders[0]}, {{folder: {{path: {folders[1]}}}}}]\n"
        f"  valid: {{mix: {{of: [{folders[0]}, {folders[1]}], shares: [0.7, 0.3]}}}}\n"
        "stages: {base: , evaluate: null}\n"
    )
    data = reading.read(recipe, KNOWN).data
    assert data.train == mixed(folders)
    assert data.valid == mixed(folders, shares=(0.7, 0.3))
    (tmp_path / "again.yml").write_text(reading.resolved(reading.read(recipe, KNOWN), KNOWN))
    assert reading.read(tmp_path / "again.yml", KNOWN).data == data


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("shares: [1.0]", "shares has 1 values for 2 data sets; give one for each"),
        ("downscale: 2.0", "are options of each data set in `of`; set them there"),
        ("shares: [1.0, 0.0]", "shares.1: must be more than 0"),
    ],
)
def test_contradictory_options_are_refused(folders: list[Path], tmp_path: Path, options: str, message: str) -> None:
    recipe = tmp_path / "mix.yml"
    recipe.write_text(
        f"task: denoise\nbackbone: dncnn\ndata: {{train: {{mix: {{of: [{folders[0]}, {folders[1]}], {options}}}}}}}\n"
    )
    with pytest.raises(RecipeError, match=message):
        reading.read(recipe, KNOWN)
