"""Claims about the checks before a run: every issue is found, and nothing is written."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import tiny
import torch
from efficient_layouts import disp_layout

from lowvision.errors import RecipeError
from lowvision.pipeline import preflight
from lowvision.plugins import registry
from lowvision.recipe import reading


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    return tiny.write_recipe(tmp_path_factory.mktemp("run"))


def test_branch_costs_that_do_not_increase_are_an_error_before_writing(recipe, tmp_path):
    with pytest.raises(RecipeError, match=r"branch 0 costs .* branch 1 .*order of increasing cost"):
        tiny.run(recipe, tmp_path / "run", "reduce.channels=[8, 4, 12]")
    assert not (tmp_path / "run").exists()


def test_unknown_augmentations_and_models_are_an_error_before_writing(recipe, tmp_path):
    with pytest.raises(RecipeError, match="HorizontalFlip"):
        tiny.run(recipe, tmp_path / "run", "data.augment=[HorizontalFlp]")
    with pytest.raises(RecipeError, match="resnet"):
        tiny.run(recipe, tmp_path / "run", "classifier={timm: {model: resnetten}}")
    assert not (tmp_path / "run").exists()


FROM_FILES = """
task: {sr: {scale: 4}}
branches:
  - {backbone: {disp: {channels: 4, layers: 1}}, weights: small.pth}
  - {backbone: {disp: {channels: CHANNELS, layers: 2}}, weights: large.pth}
classifier: error_predictor
tile: {size: 16, overlap: 4}
data: {train: photos/train, valid: photos/valid, valid_tiles: 8}
stages: {classifier: {steps: 2}}
"""


@pytest.mark.parametrize(
    ("channels", "message"), [(8, ""), (6, r"^branches\.1\.weights: large\.pth: holds a backbone, ")]
)
def test_files_of_other_networks_than_the_branches_are_an_error(
    channels: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.write_photographs(Path("photos"))
    torch.save(disp_layout(4, 1), "small.pth")
    torch.save(disp_layout(8, 2), "large.pth")
    Path("files.yml").write_text(FROM_FILES.replace("CHANNELS", str(channels)))
    known = registry.load()
    recipe = reading.read(Path("files.yml"), known)
    with pytest.raises(RecipeError, match=message) if message else nullcontext():
        preflight.check(recipe, known, "cpu")


@pytest.mark.parametrize(
    ("stage", "channels", "message"),
    [
        ("base", 8, ""),
        ("base", 6, r"^stages\.base\.start: large\.pth: holds a backbone, "),
        ("branches", 8, r"^stages\.branches\.start: large\.pth: holds a backbone, .*channels=4"),
        ("classifier", 8, r"^stages\.classifier\.start: large\.pth: holds a backbone, .*needed is a container"),
        ("rank", 6, r"^stages\.rank\.weights: large\.pth: holds a backbone, "),
        ("joint", 8, r"^stages\.joint\.start: large\.pth: holds a backbone, .*needed is a container"),
    ],
)
def test_initial_weights_of_other_networks_than_a_stage_trains_are_an_error(
    stage: str, channels: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.write_photographs(Path("photos"))
    torch.save(disp_layout(4, 1), "small.pth")
    torch.save(disp_layout(8, 2), "large.pth")
    Path("start.yml").write_text(FROM_FILES.replace("weights: large.pth", "").replace("CHANNELS", str(channels)))
    known = registry.load()
    options = {"rank": "weights: large.pth", "branches": "steps: 2, start: large.pth, own_class: 0"}
    overrides = [f"stages.{stage}={{{options.get(stage, 'steps: 2, start: large.pth')}}}"]
    if stage == "joint":
        overrides.append("classifier=class_module")
    recipe = reading.read(Path("start.yml"), known, overrides)
    with pytest.raises(RecipeError, match=message) if message else nullcontext():
        preflight.check(recipe, known, "cpu")
