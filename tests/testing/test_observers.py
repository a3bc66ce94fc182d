"""Claims about check_observer: it accepts correct observers, and reports each kind of fault with a way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lowvision import Observer, ObserverOptions, StopStage
from lowvision.testing import check_observer
from lowvision.training.core_observers import CsvFile, EarlyStopping

FAULTS = {
    "crash": "on_metrics raises KeyError: 'psnr'",
    "crash at the end": "on_run_end raises TypeError",
    "stop at the start": "on_stage_start raises StopStage",
    "changes metrics": "on_metrics changes its argument; work on a copy",
    "changes images": "on_images changes the images; work on copies",
    "unlisted file": "writes notes.txt, which --restart would keep; get the path of every file from `file`",
    "forgets": "stops the stage at step 4, but at step 6 if the run was interrupted; restore its state from",
}


class Faulty(Observer):
    """Follows a run, wrong in a way that is named."""

    wants_images = True

    def __init__(self, fault: str):
        self.fault, self.calls = fault, 0

    def on_run_start(self, recipe: Any, file: Callable[[str], Path]) -> None:
        file("right.txt").write_text("right")
        if self.fault == "unlisted file":
            (file("right.txt").parent / "notes.txt").write_text("not listed")

    def on_stage_start(self, stage: str, history: Sequence[Any]) -> None:
        if self.fault == "stop at the start":
            raise StopStage

    def on_metrics(self, stage: str, step: int, values: Any) -> None:
        self.calls += "valid_psnr" in values
        if self.fault == "crash":
            values["psnr"]
        if self.fault == "changes metrics":
            values.clear()
        if self.fault == "forgets" and self.calls == 2:
            raise StopStage

    def on_images(self, stage: str, step: int, images: Mapping[str, Any]) -> None:
        if self.fault == "changes images":
            images["lq"].zero_()

    def on_run_end(self, report: Any) -> None:
        if self.fault == "crash at the end":
            report["sets"]  # None in a run that was interrupted


class Options(ObserverOptions):
    """A faulty observer."""

    fault: str = ""
    """The way."""

    def build(self) -> Observer:
        return Faulty(self.fault)


def test_correct_observers_pass() -> None:
    check_observer(Options())
    check_observer(CsvFile())


def test_an_observer_that_stops_a_stage_passes() -> None:
    check_observer(EarlyStopping(patience=1, min_delta=100.0))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported_with_a_way_out(fault: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_observer(Options(fault=fault))
    assert FAULTS[fault] in str(caught.value)


class Misspelled(Observer):
    """Has a method that nobody calls."""

    def on_metric(self) -> None: ...


class Blind(Observer):
    """Gets no images."""

    def on_images(self, stage: str, step: int, images: Any) -> None: ...


SHARED = Observer()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (Misspelled, r"Misspelled.on_metric is never called; did you mean 'on_metrics'\?"),
        (Blind, r"Blind.on_images is never called; set wants_images = True"),
        (lambda: SHARED, r"build returns the same observer again; return a new one"),
        (lambda: 3, r"build returns a int; return a lowvision.Observer"),
    ],
)
def test_what_build_returns_is_checked_first(build: Any, message: str) -> None:
    class Built(ObserverOptions):
        """Builds that."""

        def build(self) -> Observer:
            return build()  # type: ignore[no-any-return]  # one of them is none

    with pytest.raises(AssertionError, match=message):
        check_observer(Built())
