"""Claims about reading a recipe file to a Recipe, and writing it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import toys
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowvision.config import yaml_reader
from lowvision.errors import RecipeError
from lowvision.recipe import reading


def test_a_recipe_contains_the_values_of_its_file(tmp_path: Path) -> None:
    recipe = toys.read(tmp_path, toys.RECIPE)
    assert recipe.task == toys.Enlarge(scale=4)
    assert [branch.backbone for branch in recipe.branches] == [toys.Net(channels=c) for c in (36, 52, 64)]
    assert recipe.base == toys.Net(channels=64)
    assert recipe.stages.base is not None
    assert (recipe.stages.base.steps, recipe.stages.base.lr) == (3000, 1e-3)
    assert recipe.stages.rank is not None  # `rank:` with nothing after it
    assert recipe.stages.evaluate is not None  # on unless it is refused


def test_all_errors_are_reported_together_in_line_order(tmp_path: Path) -> None:
    text = """\
task: {enlarge: {scale: two}}
backbone: {net: {chanels: 3, skip: bicubik}}
reduce: {channels: [36, 52, 64]}
classifier: guage
data: {train: medow}
stages:
  base: {stps: 3000, lr: fast, batch: 1e3}
  joint: {betas: 3, ema: 1}
  rnk: {}
sede: 1
"""
    assert toys.complaints(tmp_path, text, "seed=-1", "precision=fp17") == [
        "r.yml:1: task.enlarge.scale: must be a whole number, not 'two'",
        "r.yml:2: backbone.net.skip: must be 'none', 'nearest', 'bilinear' or 'bicubic', not 'bicubik'"
        " (did you mean 'bicubic'?)",
        "r.yml:2: backbone.net.chanels: unknown key (did you mean 'channels'?)",
        "r.yml:4: classifier: no classifier named 'guage'; did you mean 'gauge'? (from toys)",
        "r.yml:5: data.train: no dataset named 'medow'; did you mean 'meadow'? (from toys);"
        " write a folder with a slash, e.g. ./medow",
        "r.yml:7: stages.base.batch: must be a whole number, not 1000.0; write 1000",
        "r.yml:7: stages.base.lr: must be a number, not 'fast'",
        "r.yml:7: stages.base.stps: unknown key (did you mean 'steps'?)",
        "r.yml:8: stages.joint.betas: must be a list, not 3",
        "r.yml:8: stages.joint.ema: must be less than 1, not 1",
        "r.yml:9: stages.rnk: no stage named 'rnk'; did you mean 'rank'? (from lowvision-stages)",
        "r.yml:10: sede: unknown key (did you mean 'seed'?)",
        "command line: seed: must be at least 0, not -1",
        "command line: precision: must be 'no', 'fp16' or 'bf16', not 'fp17' (did you mean 'fp16'?)",
    ]


def test_errors_in_a_parent_name_its_file(tmp_path: Path) -> None:
    complaints = toys.complaints(tmp_path, "extends: a.yml\nseed: x\n", a=toys.RECIPE + "tile:\n  size: 2\n")
    assert complaints == [
        "r.yml:2: seed: must be a whole number, not 'x'",
        "a.yml:13: tile.size: must be at least 8, not 2",
    ]


def test_short_forms_are_accepted_keys(tmp_path: Path) -> None:
    text = toys.RECIPE.replace("reduce:", "redcue:")
    assert toys.complaints(tmp_path, text) == ["r.yml:3: redcue: unknown key (did you mean 'reduce'?)"]


def test_missing_keys_are_reported(tmp_path: Path) -> None:
    assert toys.complaints(tmp_path, "task: enlarge") == [
        "r.yml:1: branches: is missing; give a backbone, with reduce for smaller branches, or a list of branches",
    ]


@pytest.mark.parametrize("empty", ["backbone:", "reduce:", "backbone:\nreduce:"])
def test_an_empty_short_form_is_as_good_as_none(tmp_path: Path, empty: str) -> None:
    assert toys.complaints(tmp_path, f"task: enlarge\n{empty}") == [
        "r.yml:1: branches: is missing; give a backbone, with reduce for smaller branches, or a list of branches",
    ]


def test_a_missing_required_option_is_reported_below_its_component(tmp_path: Path) -> None:
    text = "task: enlarge\nbackbone: net\ndata:\n  train: %s\n"
    for serialize in ("folder", "{folder: }", "{folder: {}}"):
        assert toys.complaints(tmp_path, text % serialize) == ["r.yml:4: data.train.folder.path: is missing"]


def test_several_branches_need_a_classifier_and_one_does_not(tmp_path: Path) -> None:
    assert toys.complaints(tmp_path, "task: enlarge\nbranches: [{net: {channels: 8}}, net]\n") == [
        "r.yml:1: classifier: is missing",
    ]
    alone = "task: enlarge\nbackbone: net\ndata: {train: meadow, valid: meadow, test: meadow}\nstages:\n"
    assert toys.complaints(tmp_path, alone + "  base:\n  joint:\n") == [
        "r.yml:6: stages.joint: needs a classifier; add one to the recipe",
    ]
    assert toys.read(tmp_path, alone + "  base:\n").classifier is None


def test_an_adaptive_network_needs_calibration_photographs(tmp_path: Path) -> None:
    text = "task: enlarge\nbackbone: net\ndata: {test: meadow}\nstages:\n  evaluate: {budgets: [0.5]}\n"
    assert toys.complaints(tmp_path, text) == [
        "r.yml:5: stages.evaluate.budgets: needs data.valid, to set a single network to them",
    ]


def test_data_that_is_not_a_mapping_is_reported_with_its_line(tmp_path: Path) -> None:
    (complaints,) = toys.complaints(tmp_path, "task: enlarge\nbackbone: net\ndata: ./photos\nstages:\n  base:\n")
    assert complaints.startswith("r.yml:3: data: ")


def test_constraints_across_sections_are_reported_at_their_key(tmp_path: Path) -> None:
    overrides = ("backbone=halves", "task.enlarge.scale=8", "stages.joint.shares=[0.5, 0.5]")
    assert toys.complaints(tmp_path, toys.RECIPE + "tile: {size: 40}\n", *overrides) == [
        "r.yml:12: tile.size: 40 must be a multiple of 16 for its backbone",
        "command line: backbone: can be built for scale 2, 3, 4; the task has scale 8",
        "command line: stages.joint.shares: has 2 values for 3 branches",
    ]


def test_invalid_branches_are_reported_with_their_line(tmp_path: Path) -> None:
    text = """\
task: enlarge
classifier: gauge
branches:
- net
- {net: {chanels: 3}}
- {backbone: {net: {layers: 0}}, weight: x}
"""
    assert toys.complaints(tmp_path, text) == [
        "r.yml:5: branches.1.net.chanels: unknown key (did you mean 'channels'?)",
        "r.yml:6: branches.2.backbone.net.layers: must be at least 1, not 0",
        "r.yml:6: branches.2.weight: unknown key (did you mean 'weights'?)",
    ]


def test_a_missing_recipe_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"nope\.yml: no such file$"):
        reading.read(tmp_path / "nope.yml", toys.registry())


@pytest.mark.parametrize(
    ("text", "type_name"), [("", "is empty"), ("# nothing", "is empty"), ("5", "holds 5"), ("[a]", "holds ['a']")]
)
def test_a_file_that_is_not_a_mapping_is_not_a_recipe(tmp_path: Path, text: str, type_name: str) -> None:
    complaints = toys.complaints(tmp_path, text)
    assert complaints == [f"r.yml: {type_name}; a recipe is a mapping with keys such as task, backbone and stages"]


def test_the_resolved_recipe_contains_all_options_and_is_read_back(tmp_path: Path) -> None:
    recipe = toys.read(tmp_path, toys.RECIPE, "stages.evaluate=null", "data.augment=[D4, {Rotate: {limit: [1, 3]}}]")
    text = reading.resolved(recipe, toys.registry())
    assert "backbone" in text
    assert "\nreduce:" not in text
    assert "average_weight: 3.0" in text
    assert toys.read(tmp_path, text) == recipe


def test_invalid_augmentations_are_reported_with_their_line(tmp_path: Path) -> None:
    text = toys.RECIPE.replace("test: meadow}", "test: meadow,\n  augment: [D4,\n    {Rotate: {limits: 3}}]}")
    complaints = toys.complaints(tmp_path, text)
    assert complaints == ["r.yml:7: data.augment.1.Rotate.limits: unknown argument (did you mean 'limit'?)"]


word = st.text(min_size=1)
changes = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 10**9).map(str),
        "precision": st.sampled_from(["no", "fp16", "bf16"]),
        "stages.base.lr": st.floats(1e-12, 1e12).map(repr),
        "stages.joint": st.just("null"),
        "stages.rank": word.map(lambda text: yaml_reader.dump({"weights": text})),
        "data.train": st.sampled_from(["./some where", "{folder: {path: x, only: [a*b, '010', 'no']}}"]),
        "backbone.net.skip": st.sampled_from(["none", "bicubic"]),
        "trackers": st.sampled_from(["[]", "[tensorboard, '1e-4']"]),
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(changes)
def test_every_recipe_survives_dumping_and_reading(tmp_path: Path, change: dict[str, str]) -> None:
    recipe = toys.read(tmp_path, toys.RECIPE, *(f"{path}={value}" for path, value in change.items()))
    again = toys.read(tmp_path, reading.resolved(recipe, toys.registry()))
    assert again == recipe


def test_reading_imports_no_torch(tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(toys.RECIPE)
    program = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import toys; from lowvision.plugins import registry;"
        "from lowvision.recipe import reading, schema;"
        "reading.resolved(reading.read(sys.argv[2], toys.registry()), toys.registry()); schema.schema(registry.load());"
        "sys.exit('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(Path(toys.__file__).parent), str(tmp_path / "r.yml")]
    assert subprocess.run(command, check=False).returncode == 0
