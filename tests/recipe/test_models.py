"""Claims about the validation of a Recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
import toys
from pydantic import ValidationError

from lowvision.recipe.extending import CHOICES
from lowvision.recipe.models import Branch, Data, Recipe


def test_a_recipe_is_frozen(tmp_path: Path) -> None:
    recipe = toys.read(tmp_path, toys.RECIPE)
    with pytest.raises(ValidationError):
        recipe.seed = 3  # type: ignore[misc]  # that is the claim


@pytest.mark.parametrize("seed", [2**31, 10**30, -1])
def test_a_seed_that_random_generators_do_not_take_is_an_error(tmp_path: Path, seed: int) -> None:
    (complaint,) = toys.complaints(tmp_path, toys.RECIPE, f"seed={seed}")
    assert "seed: must be" in complaint
    assert toys.read(tmp_path, toys.RECIPE, f"seed={2**31 - 1}").seed == 2**31 - 1


def test_merging_handles_every_choice_of_a_recipe() -> None:
    tops = {(name,) for name in Recipe.model_fields if name in ("task", "classifier")}
    sets = {("data", name) for name, field in Data.model_fields.items() if "Dataset" in str(field.annotation)}
    assert {("backbone",), *tops, *sets} == CHOICES.keys()


@pytest.mark.parametrize("stage", ["branches", "classifier", "joint"])
def test_the_own_tiles_of_a_stage_must_fit_every_backbone(tmp_path: Path, stage: str) -> None:
    recipe = toys.RECIPE.replace("backbone: net", "backbone: halves").replace("joint:", "joint: {steps: 9}")
    (issue,) = toys.complaints(tmp_path, recipe, f"stages.{stage}.tile=[32, 40]")
    assert issue.endswith(f"stages.{stage}.tile: 40 must be a multiple of 16 for its backbone")
    assert getattr(toys.read(tmp_path, recipe, f"stages.{stage}.tile=48").stages, stage).tiles == (48,)


def test_the_tile_size_must_be_a_multiple_of_the_backbone(tmp_path: Path) -> None:
    text = toys.RECIPE.replace("backbone: net", "backbone: halves").replace("steps: 3000", "tile: 40, steps: 3000")
    (complaint,) = toys.complaints(tmp_path, text)
    assert complaint.endswith("stages.base.tile: 40 must be a multiple of 16 for its backbone")


def test_a_branch_may_be_a_bare_backbone() -> None:
    assert Branch.model_validate(toys.Net()) == Branch(backbone=toys.Net())
    assert Branch.model_validate("net", context=toys.registry()).backbone == toys.Net()


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("data.train=null", "r.yml:7: stages.base: needs data.train"),
        ("stages.rank=null", "r.yml:9: stages.branches: needs stages.rank, which sorts the tiles by difficulty"),
        ("stages.base.warmup=3000", "r.yml:7: stages.base: warmup 3000 must be less than steps 3000"),
        ("stages.joint.micro_batch=5", "r.yml:11: stages.joint: batch 96 must be a multiple of micro_batch 5"),
        (
            "stages.joint.shares=[0.5, 0.2, 0.2]",
            "r.yml:11: stages.joint: shares [0.5, 0.2, 0.2] sum to 0.9; they must sum to 1",
        ),
        ("stages.branches.steps_each=[9]", "command line: stages.branches.steps_each: has 1 values for 3 branches"),
        (
            "stages.branches={warmup: 50, steps_each: [90, 50, 9]}",
            "command line: stages.branches: warmup 50 must be less than steps 9",
        ),
        ("stages.classifier.shares=[1]", "command line: stages.classifier.shares: has 1 values for 3 branches"),
        (
            "tile={size: 16, overlap: 9}",
            "command line: tile: overlap 9 must be at most half of the tile's size 16",
        ),
        ("branches=[]", "command line: branches: must be a list of at least 1, not []"),
    ],
)
def test_a_violated_constraint_is_reported_at_its_key(tmp_path: Path, override: str, complaint: str) -> None:
    assert toys.complaints(tmp_path, toys.RECIPE, override) == [complaint]


def test_one_branch_does_not_need_the_rank_stage(tmp_path: Path) -> None:
    assert len(toys.read(tmp_path, toys.RECIPE, "branches=[net]", "stages.rank=null").branches) == 1


def test_branches_trained_on_all_tiles_do_not_need_the_rank_stage(tmp_path: Path) -> None:
    free = toys.read(tmp_path, toys.RECIPE, "stages.rank=null", "stages.branches={own_class: 0, steps: 3}")
    assert free.stages.rank is None


def test_a_branch_records_its_reduction_of_the_base(tmp_path: Path) -> None:
    recipe = toys.read(tmp_path, toys.RECIPE)
    for branch in recipe.branches:
        (step,) = branch.reduced
        assert step.of(recipe.base) == branch.backbone


@pytest.mark.parametrize(
    ("level", "complaint"),
    [
        (32, "command line: branches.0.reduced: reduces the base to Net(channels=32"),
        (0, "command line: branches.0.reduced: is less than 1 channels"),
    ],
)
def test_a_reduction_that_does_not_give_the_branch_is_reported(tmp_path: Path, level: int, complaint: str) -> None:
    small = f"{{backbone: {{net: {{channels: 8}}}}, reduced: [{{reducer: channels, level: {level}}}]}}"
    text = "\n".join(line for line in toys.RECIPE.splitlines() if not line.startswith(("backbone", "reduce")))
    (complaints,) = toys.complaints(tmp_path, text, f"branches=[{small}, net, net]")
    assert complaints.startswith(complaint)
