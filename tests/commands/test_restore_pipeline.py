"""Claims about files that are read ahead and written behind an accelerator: nothing but the time is different."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lowvision.commands import inputs, restore_one, restore_pipeline
from lowvision.commands.restore_outcomes import Done, Failed, Skipped
from lowvision.commands.restore_request import RestoreOptions
from lowvision.imaging import io
from lowvision.imaging.io import Image
from lowvision.inference import restorer
from lowvision.inference.restorer import Restorer
from lowvision.system.progress import Progress

LONGEST_WAIT = 60
"""Seconds after which a step that never comes is a failure."""


class RecordedProgress(Progress):
    """Records the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, name: str) -> None:
        """Records nothing."""

    def move(self, done: int, total: int) -> None:
        """Records nothing."""

    def end(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module")
def network(weights_file: Path) -> Restorer:
    return restorer.load(weights_file, device="cpu", runtime="torch")


@pytest.fixture
def accelerated(network: Restorer) -> Restorer:
    """The same network, computing as before, that says it is on a device other than the CPU."""
    return replace(network, device=torch.device("meta"))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[inputs.Input, ...]]:
    """Writes four images into `in`, of which one is damaged and another has a result; plans their results."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for n, name in enumerate("acde"):
        io.write(f"in/{name}.png", Image(np.full((12, 10 + n, 3), 40 * n, np.uint8)))
    Path("in/b.png").write_text("not an image")

    def plan(output: str) -> tuple[inputs.Input, ...]:
        Path(output).mkdir()
        io.write(f"{output}/d.png", Image(np.zeros((2, 2, 3), np.uint8)))
        return inputs.plan(["in"], Path(output))

    return plan


def test_pipelined_outcomes_and_results_equal_those_of_sequential_files(
    network: Restorer, accelerated: Restorer, files: Callable[[str], tuple[inputs.Input, ...]]
) -> None:
    options, lines = RestoreOptions(skips_existing=True, keeps_times=True), {}
    for output, by in (("serial", network), ("ahead", accelerated)):
        progress = RecordedProgress()
        outcomes = list(restore_pipeline.outcomes(files(output), by, options, progress))
        assert [type(outcome) for outcome in outcomes] == [Done, Failed, Done, Skipped, Done]
        assert [outcome.source.path.name for outcome in outcomes] == [f"{name}.png" for name in "abcde"]
        lines[output] = [line.replace(output, "").rpartition(", ")[0] or line for line in progress.lines]
    assert lines["ahead"] == lines["serial"]
    for name in "acde":
        assert Path(f"ahead/{name}.png").read_bytes() == Path(f"serial/{name}.png").read_bytes()
        assert name == "d" or Path(f"ahead/{name}.png").stat().st_mtime == Path(f"in/{name}.png").stat().st_mtime


def test_reading_computing_and_writing_of_successive_files_overlap(
    accelerated: Restorer, files: Callable[[str], tuple[inputs.Input, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step waits for what must be possible meanwhile; done one after another, none would come."""
    (first, *_, second, third) = (source for source in files("out") if source.path.name in ("a.png", "c.png", "e.png"))
    read, written = ({source.path.stem: threading.Event() for source in (first, second, third)} for _ in range(2))

    def signalling(events: dict[str, threading.Event], work: Callable[..., Any]) -> Callable[..., Any]:
        def do(path: Path, *rest: Any) -> Any:
            result = work(path, *rest)
            events[path.stem].set()
            return result

        return do

    monkeypatch.setattr(restore_one.io, "read_frames", signalling(read, io.read_frames))
    monkeypatch.setattr(restore_one.io, "write_frames", signalling(written, io.write_frames))
    computed = restore_pipeline.computed

    def computed_after_others(source: inputs.Input, *rest: Any) -> Any:
        if source is first:
            assert read["c"].wait(LONGEST_WAIT)
        if source is second:
            assert read["e"].wait(LONGEST_WAIT)
            assert written["a"].wait(LONGEST_WAIT)
        return computed(source, *rest)

    monkeypatch.setattr(restore_pipeline, "computed", computed_after_others)
    outcomes = list(
        restore_pipeline.outcomes((first, second, third), accelerated, RestoreOptions(), RecordedProgress())
    )
    assert [type(outcome) for outcome in outcomes] == [Done] * 3


def test_an_unwritable_result_does_not_affect_other_files(
    accelerated: Restorer, files: Callable[[str], tuple[inputs.Input, ...]]
) -> None:
    planned = [source for source in files("out") if source.path.name != "b.png"]
    Path("out/c.png").mkdir()
    outcomes = list(restore_pipeline.outcomes(planned, accelerated, RestoreOptions(), RecordedProgress()))
    assert [type(outcome) for outcome in outcomes] == [Done, Failed, Done, Done]
