"""Claims about the checks before a run: every issue is found, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from lowvision.errors import RecipeError


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
