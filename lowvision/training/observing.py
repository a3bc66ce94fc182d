"""The observers of a run, called on its main process; one that fails is reported and left out from then on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from lowvision.errors import summary_of
from lowvision.plugins.observers import Observer, StopStage, Values


class Observers:
    """Calls every observer in turn."""

    def __init__(self, observers: Sequence[Observer], is_called: bool, log: Callable[[str], None]):
        """is_called: True on the main process, on which alone observers are called."""
        self.want_images = any(observer.wants_images for observer in observers)
        """True if any observer receives images; equal on all processes."""
        self.stop = ""
        """Reason to end the training of the current stage; empty: none."""
        self._active = list(observers) if is_called else []
        self._log = log

    def on_run_start(self, recipe: Any, file: Callable[[str], Path]) -> None:
        self._each("on_run_start", lambda observer: observer.on_run_start(recipe, file))

    def on_stage_start(self, stage: str, history: Sequence[tuple[int, Values]]) -> None:
        self.stop = ""
        self._each("on_stage_start", lambda observer: observer.on_stage_start(stage, history))

    def on_metrics(self, stage: str, step: int, values: Values) -> None:
        self._each("on_metrics", lambda observer: observer.on_metrics(stage, step, values))

    def on_images(self, stage: str, step: int, images: Mapping[str, Tensor]) -> None:
        def show(observer: Observer) -> None:
            if observer.wants_images:
                observer.on_images(stage, step, images)

        self._each("on_images", show)

    def on_stage_end(self, stage: str) -> None:
        self._each("on_stage_end", lambda observer: observer.on_stage_end(stage))

    def on_run_end(self, report: Mapping[str, Any] | None) -> None:
        self._each("on_run_end", lambda observer: observer.on_run_end(report))

    def _each(self, method: str, call: Callable[[Observer], None]) -> None:
        for observer in tuple(self._active):
            try:
                call(observer)
            except StopStage as error:
                self.stop = str(error) or type(observer).__name__
            except Exception as error:
                if isinstance(error, observer.ends_run):
                    raise
                self._active.remove(observer)
                self._log(
                    f"observer {type(observer).__name__}: failed in {method}: {summary_of(error)}; the run goes on "
                    "without it"
                )
