"""Claims about the arguments of `lowvision evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.command_result import RunCommand
from lowvision.commands import evaluate_cluster
from lowvision.commands.evaluate_request import EvaluateRequest
from lowvision.plugins.core_metrics import SSIM


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
