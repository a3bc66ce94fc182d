"""Claims about `lowvision run`."""

from __future__ import annotations

from pathlib import Path

from cli.command_result import RunCommand


def test_run_starts_the_requested_number_of_processes(run_command: RunCommand, recipe: Path, tmp_path: Path) -> None:
    arguments = ("run", str(recipe), "--runs", str(tmp_path / "runs"), "--device", "cpu")
    result = run_command(*arguments, "--processes", "999")
    assert result.code == 2
    assert "--processes 999" in result.err
    assert not (tmp_path / "runs").exists()
