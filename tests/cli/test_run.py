"""Claims about `lowvision run`."""

from __future__ import annotations

from pathlib import Path

from cli.saying import Say


def test_run_starts_the_requested_number_of_processes(say: Say, recipe: Path, tmp_path: Path) -> None:
    words = ("run", str(recipe), "--runs", str(tmp_path / "runs"), "--device", "cpu")
    said = say(*words, "--processes", "999")
    assert said.code == 2
    assert "--processes 999" in said.err
    assert not (tmp_path / "runs").exists()
