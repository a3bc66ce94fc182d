"""Claims about the short forms of a recipe: `backbone` with `reduce`, files as branches, folders by their path."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import tiny
import toys

from lowvision.errors import RecipeError
from lowvision.plugins import registry
from lowvision.plugins.folder_dataset import Folder
from lowvision.recipe import reading
from lowvision.recipe.models import Branch
from lowvision_metrics import LPIPS

KNOWN = registry.load()


def reduced(text: str) -> str:
    return toys.RECIPE.replace("reduce: {channels: [36, 52, 64]}", text)


def test_a_backbone_alone_is_one_branch(tmp_path: Path) -> None:
    assert [branch.backbone for branch in toys.read(tmp_path, reduced("")).branches] == [toys.Net()]


def test_several_reducers_are_applied_level_by_level(tmp_path: Path) -> None:
    recipe = toys.read(tmp_path, reduced("reduce: {channels: [36, 64], layers: [8, 12]}"))
    assert [b.backbone for b in recipe.branches] == [toys.Net(channels=36, layers=8), toys.Net(channels=64, layers=12)]


def test_a_reducer_accepts_options_and_levels(tmp_path: Path) -> None:
    recipe = toys.read(tmp_path, reduced("reduce: {channels: {levels: [36, 64], least: 8}}"))
    assert len(recipe.branches) == 2
    text = reduced("reduce: {channels: {levels: [4, 64], least: 8, lest: 3}}")
    assert toys.complaints(tmp_path, text) == ["r.yml:3: reduce.channels.lest: unknown key (did you mean 'least'?)"]


@pytest.mark.parametrize(
    ("reduce", "complaints"),
    [
        (
            "reduce: {channels: [36, 52, 64], layers: [8, 16]}",
            ["r.yml:3: reduce: channels has 3 levels, layers has 2; give all reducers one level per branch"],
        ),
        (
            "reduce:\n  channels: [37, 0,\n    big]",
            [
                "r.yml:4: reduce.channels.0: level 37: channels 37 must be a multiple of groups 4",
                "r.yml:4: reduce.channels.1: level 0: is less than 1 channels",
                "r.yml:5: reduce.channels.2: level big: channels must be a whole number, not 'big'",
            ],
        ),
        (
            "reduce: {channels: [[36], true], chanels: [1], layers: 3}",
            [
                "r.yml:3: reduce.channels.0: must be a number or text, not [36]",
                "r.yml:3: reduce.channels.1: must be a number or text, not true",
                "r.yml:3: reduce.chanels: no reducer named 'chanels'; did you mean 'channels'? (from toys)",
                "r.yml:3: reduce.layers: must be a list of levels, one per branch, e.g. [36, 52, 64], not 3",
            ],
        ),
        (
            "reduce: {channels: {least: 3}, layers: []}",
            [
                "r.yml:3: reduce.channels.levels: must be a list of levels, one per branch,"
                " e.g. [36, 52, 64], not nothing",
                "r.yml:3: reduce.layers: must be a list of levels, one per branch, e.g. [36, 52, 64], not []",
            ],
        ),
        (
            "reduce: channels",
            ["r.yml:3: reduce: must be a mapping of reducers to their levels, e.g. {channels: [36, 52, 64]},"]
        ),
        ("branches: [net]", ["r.yml:3: branches: cannot be combined with backbone or reduce; give one or the other"]),
    ],
)  # fmt: skip
def test_impossible_levels_are_reported_with_their_line(tmp_path: Path, reduce: str, complaints: list[str]) -> None:
    reported = toys.complaints(tmp_path, reduced(reduce))
    assert len(reported) == len(complaints)
    for line, complaint in zip(reported, complaints, strict=True):
        assert line.startswith(complaint)


def test_errors_of_backbone_and_reducer_are_reported_together(tmp_path: Path) -> None:
    text = toys.RECIPE.replace("backbone: net", "backbone: nett").replace("channels", "chanels")
    assert toys.complaints(tmp_path, text) == [
        "r.yml:2: backbone: no backbone named 'nett'; did you mean 'net'? (from toys)",
        "r.yml:3: reduce.chanels: no reducer named 'chanels'; did you mean 'channels'? (from toys)",
    ]


def test_reduce_needs_a_backbone(tmp_path: Path) -> None:
    text = toys.RECIPE.replace("backbone: net\n", "")
    assert toys.complaints(tmp_path, text) == ["r.yml:2: reduce: needs a backbone to reduce; give backbone as well"]


@pytest.mark.parametrize("path", ["photos/train", "./photos", "../photos", "~/photos", "~", "."])
def test_a_data_value_that_looks_like_a_path_is_a_folder(tmp_path: Path, path: str) -> None:
    assert toys.read(tmp_path, toys.RECIPE, f"data.train='{path}'").data.train == Folder(path=path)


def test_a_data_value_that_is_an_existing_folder_is_a_folder_unless_a_data_set_has_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "meadow"):
        (tmp_path / name).mkdir()
    data = toys.read(tmp_path, toys.RECIPE, "data.train=photos").data
    assert (data.train, data.valid) == (Folder(path="photos"), toys.Meadow())


def test_any_other_data_value_is_an_unknown_data_set(tmp_path: Path) -> None:
    assert toys.complaints(tmp_path, toys.RECIPE, "data.train=medow") == [
        "command line: data.train: no dataset named 'medow'; did you mean 'meadow'? (from toys);"
        " write a folder with a slash, e.g. ./medow"
    ]


TWO = """
task: {sr: {scale: 2}}
branches:
  - {fsrcnn: {channels: 4, shrink: 4, layers: 1, skip: bicubic}}
  - {weights: FILE}
classifier: class_module
tile: {size: 16}
"""
"""A recipe whose second branch is a weights file."""


def real_complaints(folder: Path, text: str) -> list[str]:
    """Return the errors of a recipe of installed plugins, without the folder name."""
    (folder / "r.yml").write_text(text)
    with pytest.raises(RecipeError) as caught:
        reading.read(folder / "r.yml", registry.load())
    return str(caught.value).replace(f"{folder}{os.sep}", "").splitlines()


def test_a_branch_may_be_a_weights_file(tmp_path: Path) -> None:
    only = tiny.architecture().only(-1)
    file = str(tiny.write_weights(tmp_path / "own.safetensors", only))
    (tmp_path / "r.yml").write_text(TWO.replace("FILE", file))
    small, large = reading.read(tmp_path / "r.yml", registry.load()).branches
    assert small.weights is None
    assert large == Branch(backbone=only.branches[0], weights=file)


def test_a_backbone_may_be_a_weights_file(tmp_path: Path) -> None:
    only = tiny.architecture().only(0)
    file = str(tiny.write_weights(tmp_path / "own.safetensors", only))
    (tmp_path / "r.yml").write_text(
        f"task: {{sr: {{scale: 2}}}}\nclassifier: class_module\nbackbone: {{weights: {file}}}"
    )
    assert reading.read(tmp_path / "r.yml", registry.load()).branches == (
        Branch(backbone=only.branches[0], weights=file),
    )


def test_invalid_branch_files_are_reported_once_with_all_other_errors(tmp_path: Path, weights_file: Path) -> None:
    text = TWO.replace("size: 16", "sise: 16").replace("FILE", str(tmp_path / "no.pth"))
    assert real_complaints(tmp_path, text) == [
        "r.yml:5: branches.1.weights: no.pth: no such file",
        "r.yml:7: tile.sise: unknown key (did you mean 'size'?)",
    ]
    (whole,) = real_complaints(tmp_path, TWO.replace("FILE", str(weights_file)))
    assert whole.endswith("holds a container; a branch is one network")
    (alone,) = real_complaints(tmp_path, f"task: {{sr: {{scale: 2}}}}\nbranches: [{{weights: {weights_file}}}]")
    assert alone.endswith("holds a container; a branch is one network")


def test_a_file_of_another_format_than_the_option_is_reported(tmp_path: Path) -> None:
    file = tiny.write_weights(tmp_path / "own.safetensors", tiny.architecture().only(-1))
    (other,) = real_complaints(tmp_path, TWO.replace("{weights: FILE}", f"{{classsr: {file}}}"))
    assert other == (
        "r.yml:5: branches.1.classsr: own.safetensors: is not in the format 'classsr'; write {weights: own.safetensors}"
    )


@pytest.mark.parametrize("metrics", ["[psnr, {lpips: {file: alex.pth}}]", "{lpips: {file: alex.pth}}"])
def test_a_selecting_metric_has_its_options_in_evaluate(tmp_path: Path, metrics: str) -> None:
    path = tmp_path / "recipe.yml"
    path.write_text(tiny.RECIPE)
    overrides = ["stages.base.keep={best: lpips}", f"stages.evaluate={{metrics: {metrics}}}"]
    assert reading.read(path, KNOWN, overrides).stages.base.selecting_metric == LPIPS(file="alex.pth")
    with pytest.raises(RecipeError, match=r"^command line: stages.base.keep.best.lpips.file: is missing$"):
        reading.read(path, KNOWN, [overrides[0]])
