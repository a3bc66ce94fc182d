"""Claims about the arguments of `lowvision evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.command_result import RunCommand
from lowvision.commands import evaluate_cluster
from lowvision.commands.evaluate_request import EvaluateRequest
from lowvision.plugins import registry
from lowvision.plugins.contracts import Dataset
from lowvision.plugins.core_metrics import SSIM
from lowvision.plugins.folder_dataset import Folder


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> dict[str, Dataset]:
    """The data sets that `lowvision evaluate` measures, by name; nothing is measured."""
    sets: dict[str, Dataset] = {}

    def evaluate(_: Path, received: dict[str, Dataset], *arguments: Any) -> dict[str, Any]:
        sets.update(received)
        return {"schema": 2, "task": {}, "sets": []}

    monkeypatch.setattr("lowvision.commands.evaluate.evaluate", evaluate)
    return sets


def test_names_of_data_sets_are_accepted_like_folders(
    run_command: RunCommand,
    weights_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    measured: dict[str, Dataset],
) -> None:
    monkeypatch.chdir(tmp_path)
    sets = ("samples_test", "photos")
    assert run_command("evaluate", str(weights_file), *sets, "--longer-side", "64", "--json").code == 0
    assert measured == {
        "samples_test": registry.load()["datasets"]["samples_test"].component(longer_side=64),
        "photos": Folder(path="photos", longer_side=64),
    }
    (tmp_path / "samples_test").mkdir()  # a folder of this name is used, as before
    assert run_command("evaluate", str(weights_file), "samples_test", "--json").code == 0
    assert measured["samples_test"] == Folder(path="samples_test")


def test_no_gt_is_refused_for_a_data_set(run_command: RunCommand, weights_file: Path) -> None:
    result = run_command("evaluate", str(weights_file), "samples_test", "--no-gt")
    assert result.code == 2
    assert result.err.startswith("--no-gt: 'samples_test' is a data set, not a folder")


def test_no_address_of_a_cluster_is_refused(run_command: RunCommand, weights_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    result = run_command("evaluate", str(weights_file), str(tmp_path), "--cluster", "nowhere")
    assert (result.code, result.err) == (2, "--cluster nowhere: is no cluster; give local or ray://HOST:PORT\n")


def test_all_arguments_reach_the_cluster(
    run_command: RunCommand, weights_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[Any] = []

    def run(*arguments: Any) -> dict[str, Any]:
        received.extend(arguments)
        return {"schema": 2, "task": {}, "sets": []}

    monkeypatch.setattr(evaluate_cluster, "run", run)
    what = ("--budget", "0.5", "--compare", str(tmp_path), "--protocol", "paper", "--metric", "ssim")
    how = ("--cluster", "local", "--processes", "3", "--threads", "2", "--device", "cpu", "-o", "out", "--json")
    result = run_command("evaluate", str(weights_file), str(tmp_path), *what, "--task", "{sr: {scale: 2}}", *how)
    assert result.code == 0
    request, sets, _, *rest = received
    assert isinstance(request, EvaluateRequest)
    assert (request.weights, request.budgets, request.protocol) == (weights_file, (0.5,), "paper")
    assert request.metrics == {"ssim": SSIM()}
    assert (getattr(request.fit_on, "path", None), getattr(request.task, "scale", None)) == (str(tmp_path), 2)
    assert [dataset.path for dataset in sets.values()] == [str(tmp_path)]
    assert rest == [Path("out"), "cpu", "local", 3, 2]
