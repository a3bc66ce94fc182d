"""Claims about the progress of clips."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from lowvision.system.frame_progress import FrameBar, FrameLines


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_line_every_30_seconds_shows_speed_and_remaining_time(clock: list[float]) -> None:
    output = io.StringIO()
    progress = FrameLines(Console(file=output), "a.mp4")
    for done in range(51, 151):
        clock[0] += 1
        progress.move(done, 4000, done - 50)
    lines = output.getvalue().splitlines()
    assert lines[0] == "a.mp4: frame 80/4000, 1.00 fps, 1:05:20 left"
    assert len(lines) == 3


def test_the_bar_shows_speed_also_without_a_frame_count(clock: list[float]) -> None:
    output = io.StringIO()
    with Progress(TextColumn("{task.fields[what]}"), console=Console(file=output, force_terminal=True)) as bars:
        progress = FrameBar(bars, "a.mp4")
        clock[0] += 2
        progress.move(6, None, 5)
    assert "6/? frames, 2.50 fps" in output.getvalue()
