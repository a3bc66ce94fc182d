"""While a command runs, messages of the logger `lowvision` are lines on stderr; afterwards logging is as before."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cli.command_result import RunCommand
from lowvision.cli.log_output import log_to_stderr

LOGGER = logging.getLogger("lowvision")


def test_log_messages_go_to_stderr_only_while_a_command_runs(capsys: pytest.CaptureFixture[str]) -> None:
    before = LOGGER.level, list(LOGGER.handlers)
    with log_to_stderr():
        LOGGER.info("runtime: %s", "torch")
        LOGGER.debug("not shown")
    assert capsys.readouterr() == ("", "runtime: torch\n")
    assert (LOGGER.level, list(LOGGER.handlers)) == before


def test_restore_shows_the_selected_runtime_on_stderr(
    run_command: RunCommand, weights_file: Path, tmp_path: Path
) -> None:
    import numpy as np

    from lowvision.imaging import io

    io.write(tmp_path / "a.png", io.Image(np.zeros((8, 8, 3), np.uint8)))
    result = run_command("restore", str(tmp_path / "a.png"), "-m", str(weights_file), "-o", str(tmp_path / "out"))
    assert result.code == 0, result.err
    assert "runtime: " in result.err
    assert "runtime: " not in result.out


def test_debug_shows_the_traceback_of_an_image_that_failed(
    run_command: RunCommand, weights_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG damaged")
    command = ("restore", str(tmp_path / "a.png"), "-m", str(weights_file), "-o", str(tmp_path / "out"))
    assert "Traceback" not in run_command(*command).err
    assert "Traceback" in run_command("--debug", *command).err
