"""Claims about `lowvision.run` and `lowvision.evaluate`: they return reports, print nothing and leave no state."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
import yaml
from accelerate.state import AcceleratorState, PartialState

import lowvision
from lowvision.commands.python_api import unchanged_state
from lowvision.errors import RecipeError, UsageError

FIT = {"steps": 2, "batch": 2, "checkpoint_every": 2, "valid_every": 2, "log_every": 1}


def recipe_of(folder: Path) -> dict[str, Any]:
    """Return a recipe of one small network as a mapping, with photographs in `folder`."""
    if not (folder / "photos").exists():
        tiny.write_photographs(folder / "photos")
    photos = {split: {"folder": {"path": folder / "photos" / name}} for split, name in tiny_splits().items()}
    return {
        "task": {"sr": {"scale": 2}},
        "backbone": {"fsrcnn": {"channels": 4, "shrink": 4, "layers": 1, "skip": "bicubic"}},
        "tile": {"size": 16},
        "data": {**photos, "valid_tiles": 2, "workers": 0},
        "stages": {"base": FIT, "evaluate": {"pictures": 1}},
    }


def tiny_splits() -> Mapping[str, str]:
    return {"train": "train", "valid": "valid", "test": "valid"}


def generators() -> tuple[Any, ...]:
    """Return the states of the global random generators."""
    of_numpy = np.random.get_state()[1].tolist()  # noqa: NPY002  # the global generator is the subject
    return random.getstate(), of_numpy, torch.get_rng_state().tolist()


class Watcher(lowvision.Observer):
    """An observer that records its calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def on_run_start(self, recipe: Any, file: Any) -> None:
        self.calls.append(("run starts", recipe.seed))
        file("watcher.txt").write_text("seen")

    def on_stage_end(self, stage: str) -> None:
        self.calls.append(stage)

    def on_run_end(self, report: Any) -> None:
        self.calls.append(("run ends", report is not None and len(report["sets"])))


def test_a_run_returns_its_report_and_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    watcher = Watcher()
    before, states = generators(), dict(PartialState._shared_state)
    report = lowvision.run(
        recipe_of(tmp_path),
        overrides={"seed": 3, "stages.base.lr": 1e-3, "observers": ["csv"]},
        observers=[watcher],
        folder=tmp_path / "run",
        device="cpu",
    )
    assert capfd.readouterr() == ("", "")
    assert generators() == before
    assert PartialState._shared_state == states
    assert watcher.calls == [("run starts", 3), "base", "evaluate", ("run ends", 1)]
    assert report.folder == tmp_path / "run"
    assert report.document is not None
    assert report.weights == tmp_path / "run" / "base" / "last.safetensors"
    assert {entry["stage"] for entry in report.metrics} == {"base"}
    assert "base" in str(report)
    assert "<html" in report._repr_html_()
    assert (tmp_path / "run" / "metrics.csv").read_text().startswith("stage,step,metric,value")
    resolved = yaml.safe_load((tmp_path / "run" / "recipe.resolved.yml").read_text())
    assert (resolved["seed"], resolved["stages"]["base"]["lr"]) == (3, 1e-3)

    evaluated = lowvision.evaluate(
        report.weights, tmp_path / "photos" / "valid", metrics=["psnr", {"noise": {}}], device="cpu"
    )
    assert capfd.readouterr() == ("", "")
    assert evaluated.document is not None
    assert evaluated.document["sets"][0]["name"] == "valid"
    assert list(evaluated.document["metrics"]) == ["psnr", "noise"]
    documents = [returned.document for returned in (report, evaluated) if returned.document]
    means = [document["sets"][0]["mean"]["base_whole"] for document in documents]
    metric = next(name for name in means[0] if name.startswith("psnr"))
    assert means[0][metric] == pytest.approx(means[1][metric], abs=1e-3)

    # A sweep may change the precision, and `restart` removes what observers wrote.
    other = {"precision": "bf16", "stages.evaluate": None}
    again = lowvision.run(recipe_of(tmp_path), overrides=other, folder=tmp_path / "run", restart=True, device="cpu")
    assert again.document is None
    assert not (tmp_path / "run" / "watcher.txt").exists()


def test_errors_of_a_recipe_are_those_of_the_command(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"^recipe: stages\.base\.stps: unknown key \(did you mean 'steps'\?\)$"):
        lowvision.run({**recipe_of(tmp_path), "stages": {"base": {"stps": 1}}}, folder=tmp_path / "run")
    with pytest.raises(UsageError, match=r"a recipe without a file has no name; give folder"):
        lowvision.run({})
    with pytest.raises(UsageError, match=r"must be a list or a mapping, not the text 'seed=1'; write \['seed=1'\]"):
        lowvision.run("sr_carn", overrides="seed=1")
    with pytest.raises(UsageError, match=r"datasets: foldr: no dataset named 'foldr'; did you mean 'folder'"):
        lowvision.evaluate("sr-carn-x4", {"foldr": {}})


def test_a_mapping_extends_a_file_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("parent.yml").write_text("seed: 1\n")
    with pytest.raises(RecipeError, match=r"^recipe: task: is missing"):
        lowvision.run({"extends": "parent.yml", "backbone": "fsrcnn"}, folder="run")


def change_state_and_fail() -> None:
    with unchanged_state():
        assert not AcceleratorState._shared_state
        os.environ["ACCELERATE_TORCH_DEVICE"] = "cuda:1"
        torch.manual_seed(7)
        raise KeyError


def test_state_is_restored_after_an_error() -> None:
    os.environ.pop("ACCELERATE_TORCH_DEVICE", None)
    AcceleratorState._shared_state["mine"] = 1
    state = torch.get_rng_state()
    try:
        with pytest.raises(KeyError):
            change_state_and_fail()
        assert AcceleratorState._shared_state["mine"] == 1
        assert "ACCELERATE_TORCH_DEVICE" not in os.environ
        assert state.equal(torch.get_rng_state())
    finally:
        del AcceleratorState._shared_state["mine"]
