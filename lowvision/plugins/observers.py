"""The contract of observers: objects that follow a run, and options models that build them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowvision.config.options import Options

if TYPE_CHECKING:
    from torch import Tensor

Values = Mapping[str, float | list[float]]
"""Metrics by name; `valid_` precedes those on `data.valid`. A list has one number per branch."""


class StopStage(Exception):
    """Raised in `Observer.on_metrics` to end the training of a stage: its weights are kept, and the run goes on."""


class Observer:
    """An object that follows a run on its main process. Every method does nothing by default.

    An exception of an observer is logged, and the run goes on without this observer.
    """

    wants_images: bool = False
    """True: `on_images` is called after every validation."""
    ends_run: tuple[type[Exception], ...] = ()
    """Exceptions that end the run instead, and reach the caller of `lowvision.run`."""

    def on_run_start(self, recipe: Any, file: Callable[[str], Path]) -> None:
        """Start following a run of a resolved recipe.

        file: returns the path of a file in the run folder, by its name, and lets `--restart` remove it.
        """

    def on_stage_start(self, stage: str, history: Sequence[tuple[int, Values]]) -> None:
        """Start following a stage. history: (step, metrics) of its steps before an interruption."""

    def on_metrics(self, stage: str, step: int, values: Values) -> None:
        """Receive the metrics of a step of a stage, e.g. of `base` or `branches/1`."""

    def on_images(self, stage: str, step: int, images: Mapping[str, Tensor]) -> None:
        """Receive tiles of `data.valid`: `lq`, `restored` and `gt`, each (N,C,h,w) in [0,1] on the CPU."""

    def on_stage_end(self, stage: str) -> None:
        """Learn that a stage has ended without an error."""

    def on_run_end(self, report: Mapping[str, Any] | None) -> None:
        """Learn that the run has ended; `report` is the document of `report.json`, None without one or on an error."""


class ObserverOptions(Options, ABC):
    """The options of an observer, by its name under `observers` of a recipe."""

    @abstractmethod
    def build(self) -> Observer:
        """Return a new observer."""
