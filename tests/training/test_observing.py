"""Claims about the calls of observers: what they receive, how they end a run, and that a faulty one loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from observed_training import train
from torch import Tensor

from lowvision.plugins.observers import Observer, StopStage, Values
from lowvision.training.log import Log
from lowvision.training.observing import Observers


class Recorder(Observer):
    """Records every call."""

    wants_images = True

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def on_stage_start(self, stage: str, history: Sequence[tuple[int, Values]]) -> None:
        self.calls.append(("start", stage, [step for step, _ in history]))

    def on_metrics(self, stage: str, step: int, values: Values) -> None:
        self.calls.append(("metrics", step, min(values)))

    def on_images(self, stage: str, step: int, images: Mapping[str, Tensor]) -> None:
        self.calls.append(("images", step, {name: tuple(image.shape) for name, image in images.items()}))


class Faulty(Observer):
    """Raises at every call, and counts them."""

    def __init__(self) -> None:
        self.calls = 0

    def on_metrics(self, stage: str, step: int, values: Values) -> None:
        self.calls += 1
        raise KeyError("no such metric")


def test_metrics_and_images_are_received_in_order(tmp_path: Path) -> None:
    recorder = Recorder()
    train(tmp_path, [recorder], [1.0, 2.0, 3.0, 4.0])
    assert recorder.calls[:4] == [
        ("start", "base", []),
        ("metrics", 2, "data_share"),
        ("metrics", 2, "valid_psnr"),
        ("images", 2, {"restored": (1, 3, 4, 4)}),
    ]
    assert [call[1] for call in recorder.calls if call[0] == "images"] == [2, 4, 6, 8]


def test_a_failing_observer_is_reported_once_and_the_others_continue(tmp_path: Path) -> None:
    faulty, recorder = Faulty(), Recorder()
    train(tmp_path, [faulty, recorder], [1.0, 2.0, 3.0, 4.0])
    assert faulty.calls == 1
    assert "observer Faulty: failed in on_metrics: " in (tmp_path / "log.txt").read_text()
    assert ("metrics", 8, "valid_psnr") in recorder.calls


def test_observers_are_called_on_the_main_process_only(tmp_path: Path) -> None:
    recorder = Recorder()
    log = Log(tmp_path, speaks=False, observers=[recorder])
    log.start("base")
    log.measure("base", 1, {"loss": 1.0})
    assert recorder.calls == []
    assert log.observers.want_images


def test_an_observer_exception_that_ends_the_run_reaches_the_caller(tmp_path: Path) -> None:
    class Pruned(Exception):
        pass

    class Prune(Observer):
        ends_run = (Pruned,)

        def on_metrics(self, stage: str, step: int, values: Values) -> None:
            raise Pruned

    with pytest.raises(Pruned):
        train(tmp_path, [Prune()], [1.0])


class Marker(Observer):
    """Notes the calls that have one place in a run, in a list that several observers share."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name, self.notes = name, notes

    def on_run_start(self, recipe: Any, file: Callable[[str], Path]) -> None:
        self.notes.append(f"{self.name} start")

    def on_images(self, stage: str, step: int, images: Mapping[str, Tensor]) -> None:
        self.notes.append(f"{self.name} images")

    def on_stage_end(self, stage: str) -> None:
        self.notes.append(f"{self.name} end of {stage}")

    def on_run_end(self, report: Mapping[str, Any] | None) -> None:
        self.notes.append(f"{self.name} end")


def test_observers_are_called_in_their_order_and_without_images_unless_they_want_them(tmp_path: Path) -> None:
    notes: list[str] = []
    observers = Observers([Marker("a", notes), Marker("b", notes)], True, notes.append)
    observers.on_run_start(None, lambda name: tmp_path / name)
    observers.on_images("base", 1, {})
    observers.on_stage_end("base")
    observers.on_run_end(None)
    assert notes == ["a start", "b start", "a end of base", "b end of base", "a end", "b end"]
    assert not observers.want_images


def test_a_reason_to_stop_lasts_until_the_next_stage_and_is_never_empty() -> None:
    class Stops(Observer):
        def on_metrics(self, stage: str, step: int, values: Values) -> None:
            raise StopStage(values.get("reason", ""))

    observers = Observers([Stops()], True, lambda message: None)
    observers.on_metrics("base", 1, {"reason": "enough"})
    assert observers.stop == "enough"
    observers.on_stage_start("branches", [])
    assert observers.stop == ""
    observers.on_metrics("branches", 1, {})
    assert observers.stop == "Stops"
