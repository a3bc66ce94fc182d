"""The observers of the core: early stopping, a CSV file, and pruning by Optuna."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from lowvision.plugins.hookspecs import hookimpl
from lowvision.plugins.observers import Observer, ObserverOptions, StopStage, Values


class EarlyStopping(ObserverOptions):
    """End a stage when a metric on `data.valid` has not improved for several validations."""

    metric: str = "psnr"
    """Metric on `data.valid`, e.g. `psnr` or `gain`."""
    patience: int = Field(default=5, ge=1)
    """Number of validations without an improvement after which the stage ends."""
    min_delta: float = Field(default=0.01, ge=0)
    """Smallest increase that is an improvement, e.g. in dB."""
    lower_is_better: bool = False
    """True: a decrease of the metric is an improvement."""
    stages: tuple[str, ...] = ()
    """Stages to end, e.g. `base`, `branches/1`; empty: all."""

    def build(self) -> Observer:
        return EarlyStopper(self)


class EarlyStopper(Observer):
    """The observer of `EarlyStopping`."""

    def __init__(self, options: EarlyStopping):
        self._options = options
        self._best: dict[str, float] = {}
        self._waited: dict[str, int] = {}

    def on_stage_start(self, stage: str, history: Sequence[tuple[int, Values]]) -> None:
        self._best.pop(stage, None)
        self._waited.pop(stage, None)
        for _, values in history:
            self._count(stage, values)

    def on_metrics(self, stage: str, step: int, values: Values) -> None:
        self._count(stage, values)
        if self._waited.get(stage, 0) >= self._options.patience:
            name, best = self._options.metric, self._best[stage]
            raise StopStage(f"{name} has not improved on {best:.4g} for {self._options.patience} validations")

    def _count(self, stage: str, values: Values) -> None:
        value = values.get(f"valid_{self._options.metric}")
        if not isinstance(value, int | float) or (self._options.stages and stage not in self._options.stages):
            return
        sign = -1 if self._options.lower_is_better else 1
        best = self._best.get(stage, -sign * math.inf)
        if sign * (value - best) > self._options.min_delta or stage not in self._best:
            self._best[stage], self._waited[stage] = float(value), 0
        else:
            self._waited[stage] += 1


class CsvFile(ObserverOptions):
    """Write all metrics to a CSV file in the run folder, one number per row: stage, step, metric, value."""

    name: str = "metrics.csv"
    """Name of the file."""

    def build(self) -> Observer:
        return CsvWriter(self.name)


class CsvWriter(Observer):
    """The observer of `CsvFile`."""

    HEADER = ("stage", "step", "metric", "value")

    def __init__(self, name: str):
        self._name = name
        self._path = Path(name)

    def on_run_start(self, recipe: Any, file: Callable[[str], Path]) -> None:
        self._path = file(self._name)
        if not self._path.exists():
            self._write([self.HEADER])

    def on_stage_start(self, stage: str, history: Sequence[tuple[int, Values]]) -> None:
        with self._path.open(newline="", encoding="utf-8") as lines:
            others = [row for row in csv.reader(lines) if row and row[0] != stage]
        self._write([*others, *(row for step, values in history for row in _rows(stage, step, values))])

    def on_metrics(self, stage: str, step: int, values: Values) -> None:
        self._write(_rows(stage, step, values), mode="a")

    def _write(self, rows: Sequence[Sequence[object]] | Iterator[Sequence[object]], mode: str = "w") -> None:
        with self._path.open(mode, newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)


def _rows(stage: str, step: int, values: Values) -> Iterator[tuple[str, int, str, float]]:
    for name, value in values.items():
        if isinstance(value, list):
            yield from ((stage, step, f"{name}/{k}", number) for k, number in enumerate(value))
        else:
            yield stage, step, name, value


class OptunaPruning(Observer):
    """Report a metric to a trial of Optuna, and end the run by `optuna.TrialPruned` if the trial is to be pruned.

    Pass it to `lowvision.run` in the function that Optuna optimises; recipes cannot name it, because they have no
    trial.
    """

    def __init__(self, trial: Any, stage: str = "base", metric: str = "psnr"):
        """Follow a stage. Raises UsageError if Optuna is not installed.

        metric: on `data.valid`; the study must maximise or minimise it.
        """
        try:
            import optuna
        except ImportError:
            from lowvision.errors import UsageError

            raise UsageError("OptunaPruning: optuna is not installed; pip install optuna") from None
        self.ends_run = (optuna.TrialPruned,)
        self._pruned = optuna.TrialPruned
        self._trial, self._stage, self._metric = trial, stage, metric

    def on_metrics(self, stage: str, step: int, values: Values) -> None:
        value = values.get(f"valid_{self._metric}")
        if stage != self._stage or not isinstance(value, int | float):
            return
        self._trial.report(value, step)
        if self._trial.should_prune():
            raise self._pruned(f"{stage}: pruned at step {step}, {self._metric} {value:.4g}")


@hookimpl
def lowvision_observers() -> Mapping[str, type[ObserverOptions]]:
    return {"early_stopping": EarlyStopping, "csv": CsvFile}
