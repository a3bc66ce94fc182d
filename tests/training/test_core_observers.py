"""Claims about the observers of the core: early stopping, CSV, pruning by Optuna."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from observed_training import steps_of, train

from lowvision.plugins.observers import Observer, StopStage, Values
from lowvision.training.core_observers import CsvFile, EarlyStopping


def test_early_stopping_ends_the_stage_and_keeps_its_weights(tmp_path: Path) -> None:
    written = train(tmp_path, [EarlyStopping(patience=2).build()], [1.0, 2.0, 2.005, 1.9])
    assert steps_of(tmp_path) == [2, 4, 6, 8]
    written = train(tmp_path, [], [1.0] * 4)  # a finished training does nothing
    again = tmp_path / "again"
    again.mkdir()
    written = train(again, [EarlyStopping(patience=1).build()], [2.0, 1.0, 3.0, 4.0])
    assert steps_of(again) == [2, 4]
    assert len(written) == 2  # best and last
    assert "base: ended at step 4 of 8: psnr has not improved on 2 for 1 validations" in (again / "log.txt").read_text()


def test_a_resumed_stage_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    class Kill(Observer):
        def on_metrics(self, stage: str, step: int, values: Values) -> None:
            if step == 6:
                raise Killed

    psnrs = [3.0, 2.0, 2.0, 2.0]
    with pytest.raises(Killed):
        train(tmp_path, [Kill()], psnrs)
    train(tmp_path, [EarlyStopping(patience=3).build()], psnrs[2:])  # resumes at step 4
    log = (tmp_path / "log.txt").read_text()
    assert "resumes at step 4" in log
    assert "base: ended at step 8 of 8: psnr has not improved on 3 for 3 validations" in log


def test_the_csv_file_is_complete_after_an_interruption(tmp_path: Path) -> None:
    writer = CsvFile(name="numbers.csv").build()
    writer.on_run_start(None, lambda name: tmp_path / name)
    writer.on_stage_start("base", [])
    writer.on_metrics("base", 2, {"loss": 0.5, "shares": [0.25, 0.75]})
    writer.on_metrics("base", 4, {"loss": 0.4})
    writer.on_stage_start("joint", [])
    writer.on_metrics("joint", 1, {"loss": 0.1})
    again = CsvFile(name="numbers.csv").build()
    again.on_run_start(None, lambda name: tmp_path / name)
    again.on_stage_start("base", [(2, {"loss": 0.5, "shares": [0.25, 0.75]})])
    with (tmp_path / "numbers.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["stage", "step", "metric", "value"],
        ["joint", "1", "loss", "0.1"],
        ["base", "2", "loss", "0.5"],
        ["base", "2", "shares/0", "0.25"],
        ["base", "2", "shares/1", "0.75"],
    ]


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=30), st.integers(1, 5), st.booleans())
def test_early_stopping_waits_for_its_patience(values: list[float], patience: int, lower: bool) -> None:
    observer = EarlyStopping(patience=patience, min_delta=0, lower_is_better=lower).build()
    observer.on_stage_start("base", [])
    ended = None
    for step, value in enumerate(values):
        try:
            observer.on_metrics("base", step, {"valid_psnr": value})
        except StopStage:
            ended = step
            break
    values_seen = values if ended is None else values[: ended + 1]
    signed = [-value if lower else value for value in values_seen]
    last_best = signed.index(max(signed))
    assert (ended is not None) == (len(values_seen) - 1 - last_best >= patience)


def optimise(trial: Any, folder: Path, curve: Callable[[int], float]) -> float:
    from lowvision.training.core_observers import OptunaPruning

    folder.mkdir()
    train(folder, [OptunaPruning(trial)], [curve(step) for step in range(4)])
    return curve(3)


def test_optuna_prunes_the_worse_trial(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner(n_startup_trials=1))
    curves = [lambda step: 30.0 + step, lambda step: 20.0 + step]
    study.optimize(lambda trial: optimise(trial, tmp_path / str(trial.number), curves[trial.number]), n_trials=2)
    states = [trial.state for trial in study.trials]
    assert states == [optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED]
    assert steps_of(tmp_path / "1") == [2]
