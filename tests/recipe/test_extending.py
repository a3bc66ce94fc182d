"""Claims about how a recipe overrides its parents, and the command line overrides both."""

from __future__ import annotations

from pathlib import Path

import pytest
import toys

from lowvision.recipe import extending

CHILD = "extends: parent.yml\n"


def child(folder: Path, text: str, *overrides: str, parent: str = toys.RECIPE) -> toys.Recipe:
    return toys.read(folder, CHILD + text, *overrides, parent=parent)


def test_mappings_merge_key_by_key(tmp_path: Path) -> None:
    stages = child(tmp_path, "stages: {base: {batch: 8}}").stages
    assert stages.base is not None
    assert (stages.base.steps, stages.base.batch) == (3000, 8)


def test_lists_are_replaced_completely(tmp_path: Path) -> None:
    recipe = child(tmp_path, "trackers: [a]", parent=toys.RECIPE + "trackers: [b, c]\n")
    assert recipe.trackers == ("a",)


def test_a_chain_of_parents_is_followed_from_folder_to_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "middle.yml").write_text("extends: ../top.yml\nseed: 1\n")
    recipe = toys.read(tmp_path, "extends: deep/middle.yml\nprecision: bf16\n", top=toys.RECIPE + "seed: 2\n")
    assert (recipe.seed, recipe.precision) == (1, "bf16")


def test_the_same_choice_merges_options_and_another_drops_them(tmp_path: Path) -> None:
    parent = toys.RECIPE.replace("backbone: net", "backbone: {net: {layers: 8}}")
    assert child(tmp_path, "backbone: {net: {skip: bicubic}}", parent=parent).base == toys.Net(layers=8, skip="bicubic")
    assert child(tmp_path, "backbone: {halves: {skip: bicubic}}", parent=parent).base == toys.Halves(skip="bicubic")


def test_a_bare_name_means_default_options(tmp_path: Path) -> None:
    parent = toys.RECIPE.replace("backbone: net", "backbone: {net: {layers: 8}}")
    assert child(tmp_path, "backbone: net", parent=parent).base == toys.Net()


def test_another_data_set_drops_inherited_options(tmp_path: Path) -> None:
    parent = toys.RECIPE.replace("valid: meadow", "valid: {meadow: {downscale: 2}}")
    data = child(tmp_path, "data: {valid: {folder: {path: x}}}", parent=parent).data
    assert data.valid is not None
    assert data.valid.downscale == 1
    assert data.train == toys.Meadow()


def test_reduce_is_replaced_completely(tmp_path: Path) -> None:
    branches = child(tmp_path, "reduce: {layers: [4, 16]}").branches
    assert [branch.backbone for branch in branches] == [toys.Net(layers=4), toys.Net()]


def test_branches_replace_backbone_and_reduce_and_vice_versa(tmp_path: Path) -> None:
    listed = "branches: [{net: {layers: 2}}, halves]\n"
    assert [branch.backbone for branch in child(tmp_path, listed).branches] == [toys.Net(layers=2), toys.Halves()]
    parent = toys.RECIPE.replace("backbone: net\n", listed).replace("reduce: {channels: [36, 52, 64]}\n", "")
    assert [branch.backbone for branch in child(tmp_path, "backbone: net", parent=parent).branches] == [toys.Net()]


def test_null_removes_a_stage_and_an_empty_value_keeps_it(tmp_path: Path) -> None:
    stages = child(tmp_path, "stages:\n  joint: null\n  base:\n").stages
    assert stages.joint is None
    assert stages.base is not None
    assert stages.base.steps == 3000


def test_sections_may_be_empty(tmp_path: Path) -> None:
    assert child(tmp_path, "tile:\ndata:\nstages:\n", parent=toys.RECIPE) == toys.read(tmp_path, toys.RECIPE)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"r": "extends: a.yml", "a": "seed: 1\nextends: r.yml"},
            "a.yml:2: extends: recipes extend each other in a cycle: r.yml -> a.yml -> r.yml",
        ),
        ({"r": "extends: ./r.yml"}, "r.yml:1: extends: recipes extend each other in a cycle: r.yml -> r.yml"),
        (
            {"r": "seed: 1\nextends: q.yml"},
            "r.yml:2: extends: no such file: q.yml; the path starts at the folder of this recipe",
        ),
        ({"r": "extends: [a.yml]"}, "r.yml:1: extends: must be the path of one recipe, not ['a.yml']"),
        (
            {"r": "extends: a.yml", "a": ""},
            "a.yml: is empty; a recipe is a mapping with keys such as task, backbone and stages",
        ),
        ({"r": "extends: a.yml", "a": "x: 1\nx: 2"}, "a.yml:2: 'x' is given twice, first in line 1; keep one of them"),
    ],
)
def test_an_invalid_parent_is_reported(tmp_path: Path, files: dict[str, str], message: str) -> None:
    others = {name: text for name, text in files.items() if name != "r"}
    assert toys.complaints(tmp_path, files["r"], **others) == [message]


def test_overrides_set_values(tmp_path: Path) -> None:
    overrides = (
        "stages.base.steps=1000",
        "stages.base.lr=1e-4",
        "stages.joint=null",
        "reduce.channels.0=16",
        "tile={}",
    )
    recipe = toys.read(tmp_path, toys.RECIPE + "tile: {size: 48}\n", *overrides)
    assert recipe.stages.base is not None
    assert (recipe.stages.base.steps, recipe.stages.base.lr) == (1000, 1e-4)
    assert recipe.stages.joint is None
    assert recipe.branches[0].backbone == toys.Net(channels=16)
    assert recipe.tile.size == 32


def test_an_override_gives_options_to_a_bare_name(tmp_path: Path) -> None:
    assert toys.read(tmp_path, toys.RECIPE, "backbone.net.layers=3").base == toys.Net(layers=3)
    assert toys.read(tmp_path, toys.RECIPE, "backbone.halves.layers=3").base == toys.Halves(layers=3)


def test_an_override_reaches_into_branches(tmp_path: Path) -> None:
    text = "task: enlarge\nclassifier: gauge\nbranches:\n- {backbone: {net: {layers: 3}}}\n- net\n"
    recipe = toys.read(tmp_path, text, "branches.0.weights=w", "branches.0.backbone.net.layers=2")
    assert recipe.branches[0].weights == "w"
    assert recipe.branches[0].backbone == toys.Net(layers=2)


def test_an_override_of_branches_replaces_the_backbone(tmp_path: Path) -> None:
    assert toys.read(tmp_path, toys.RECIPE, "branches=[net]").base == toys.Net()


def test_misplaced_overrides_are_reported_together(tmp_path: Path) -> None:
    overrides = ("a", "=3", "branches.0=3", "reduce.channels.7=1", "seed=[1", "seed.x=3", "reduce.layers=010")
    advice = "is not an override; write key=value, e.g. seed=1"
    assert toys.complaints(tmp_path, toys.RECIPE + "seed: 1\n", *overrides) == [
        f"command line: 'a' {advice}",
        f"command line: '=3' {advice}",
        "command line: branches.0: 'branches' is not a list in the recipe; set the whole value",
        "command line: reduce.channels.7: the list has 3 items; use 0..2",
        "command line: seed: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'",
        "command line: seed.x: 'seed' is 1, which has no keys; set it to a mapping",
        "command line: reduce.layers: 010 is ambiguous between YAML readers; write it in decimal, or quote it",
    ]


def test_unknown_override_paths_are_reported(tmp_path: Path) -> None:
    overrides = ("stages.bse.steps=3", "stages.base.stps=3", "backbone.net.chanels=3", "stgaes=1")
    assert toys.complaints(tmp_path, toys.RECIPE, *overrides) == [
        "command line: backbone.net.chanels: unknown key (did you mean 'channels'?)",
        "command line: stages.base.stps: unknown key (did you mean 'steps'?)",
        "command line: stages.bse: no stage named 'bse'; did you mean 'base'? (from lowvision-stages)",
        "command line: stgaes: unknown key (did you mean 'stages'?)",
    ]


def test_a_shipped_recipe_is_extended_by_name(tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text("extends: sr_carn\nseed: 3")
    merged = extending.gather(tmp_path / "r.yml", toys.registry()).value
    assert (merged["seed"], merged["task"]) == (3, {"sr": {"scale": 4}})
    (tmp_path / "sr_carn").write_text("seed: 1\ntrackers: []")  # a file of that name goes before
    assert extending.gather(tmp_path / "r.yml", toys.registry()).value == {"seed": 3, "trackers": ()}
