"""A finished run continues if a stage gets more steps, and if nothing else has changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file

from lowvision.errors import RunError
from lowvision.training.log import read_metrics

NONE = tuple(f"stages.{name}=null" for name in ("rank", "branches", "classifier", "joint"))
BASE = "stages.base={steps: STEPS, batch: 4, checkpoint_every: 2, valid_every: 4, log_every: 1, schedule: constant}"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return tiny.write_recipe(tmp_path)


def run(recipe: Path, name: str, steps: int, *overrides: str) -> Path:
    folder = recipe.parent / name
    single = ("reduce=null", "classifier=null", *NONE, BASE.replace("STEPS", str(steps)))
    assert tiny.in_a_child(tiny.run, recipe, folder, *single, *overrides) == 0
    return folder


def test_a_run_continued_with_more_steps_equals_one_of_that_length(recipe: Path) -> None:
    whole = run(recipe, "whole", 8)
    run(recipe, "continued", 4)
    continued = run(recipe, "continued", 8)
    log = (continued / "log.txt").read_text()
    assert "stages.base.steps: 4 -> 8; base continues from its last checkpoint" in log
    assert "base: resumes at step 4" in log
    assert "the former results of evaluate are in superseded/1" in log
    states = [load_file(folder / "base" / "last.safetensors") for folder in (whole, continued)]
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
    assert [entry["step"] for entry in read_metrics(continued) if "loss" in entry] == list(range(1, 9))
    reports = [json.loads((folder / "report.json").read_text())["sets"][0]["mean"] for folder in (whole, continued)]
    assert reports[0]["base_whole"]["psnr_y@crop2"] == reports[1]["base_whole"]["psnr_y@crop2"]


def test_later_stages_run_again_and_earlier_results_are_kept(recipe: Path) -> None:
    folder = recipe.parent / "run"
    short = ("stages.classifier=null", "stages.joint=null", "stages.evaluate=null", "stages.rank={limit: 40}")
    assert tiny.in_a_child(tiny.run, recipe, folder, *short) == 0
    before = load_file(folder / "branches" / "0" / "last.safetensors")
    assert tiny.in_a_child(tiny.run, recipe, folder, *short, "stages.base.steps=8") == 0
    log = (folder / "log.txt").read_text()
    assert "the former results of rank, branches are in superseded/1" in log
    kept = load_file(folder / "superseded" / "1" / "branches" / "0" / "last.safetensors")
    assert all(torch.equal(tensor, kept[name]) for name, tensor in before.items())
    after = load_file(folder / "branches" / "0" / "last.safetensors")
    assert any(not torch.equal(tensor, after[name]) for name, tensor in before.items())


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (("stages.base.steps=2",), "differs in stages.base.steps"),
        (("seed=3", "stages.base.steps=8"), "differs in stages.base.steps, seed"),
        (("stages.base.lr=1e-3",), "differs in stages.base.lr"),
    ],
)
def test_other_changes_of_the_recipe_are_refused_by_name(recipe: Path, overrides: tuple[str, ...], named: str) -> None:
    folder = run(recipe, "run", 4)
    before = (folder / "recipe.resolved.yml").read_text()
    single = ("reduce=null", "classifier=null", *NONE, BASE.replace("STEPS", "4"))
    with pytest.raises(RunError, match=rf"another recipe \({named}\); --name NAME .*, --restart"):
        tiny.run(recipe, folder, *single, *overrides)
    assert (folder / "recipe.resolved.yml").read_text() == before
    assert (folder / "base" / "done.json").exists()


def test_a_run_of_an_older_release_without_newer_options_can_continue(recipe: Path) -> None:
    folder = run(recipe, "run", 4)
    stored = folder / "recipe.resolved.yml"
    lines = [line for line in stored.read_text().splitlines() if "on_error" not in line]
    stored.write_text("\n".join(lines))
    run(recipe, "run", 4)
    assert "on_error" in stored.read_text()
    assert "base: already finished" in (folder / "log.txt").read_text()
