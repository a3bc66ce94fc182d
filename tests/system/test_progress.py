"""Claims about how the progress of many files is printed."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress as Bars

from lowvision.system.progress import Lines, TwoBars, telling


def test_without_a_terminal_each_file_is_a_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    with telling(2, is_main_process=True) as progress:
        for name in ("a [b].png", "c" * 200):
            progress.begin(name)
            progress.move(1, 4)
            progress.end(f"{name}: done")
    assert capsys.readouterr().err == f"1/2 a [b].png: done\n2/2 {'c' * 200}: done\n"


def test_on_a_terminal_bars_show_files_and_tiles_below_the_lines() -> None:
    shown = io.StringIO()
    with Bars(console=Console(file=shown, force_terminal=True, width=100)) as bars:
        progress = TwoBars(bars, 2)
        progress.begin("a [b].png")
        progress.move(3, 4)
        files, tiles = bars.tasks
        assert (files.completed, files.total) == (0.75, 2)
        assert (tiles.description, tiles.completed, tiles.total) == ("a [b].png", 3, 4)
        progress.end("a [b].png: done")
        assert files.completed == 1
        progress.begin("folder/" * 20 + "next.png")
        assert tiles.completed == 0
        assert len(tiles.description) == 40
        assert tiles.description.endswith("/next.png")
    assert "a [b].png: done" in shown.getvalue()


def test_on_a_terminal_only_the_main_process_shows_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Console, "is_terminal", property(lambda console: True))
    with telling(1, is_main_process=False) as progress:
        assert isinstance(progress, Lines)
        assert progress._console.quiet
