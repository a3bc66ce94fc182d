"""Claims about `lowvision restore`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cli.command_result import RunCommand
from lowvision.imaging import io
from lowvision.imaging.io import Image


def test_restore_without_installed_weights_says_how_to_get_them(
    run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOWVISION_PLUGINS", "runtimes")
    result = run_command("restore", "photo.png")
    assert result.code == 2
    assert "-m FILE" in result.err
    assert "lowvision run" in result.err


def test_restore_reports_invalid_arguments_before_writing(
    run_command: RunCommand, weights_file: Path, tmp_path: Path
) -> None:
    arguments = ("restore", str(tmp_path / "none.png"), "-o", str(tmp_path / "out"))
    assert run_command(*arguments, "-m", str(tmp_path / "none.safetensors")).err.startswith(
        f"{tmp_path / 'none.safetensors'}: no such file"
    )
    result = run_command(*arguments, "-m", str(weights_file))
    assert (result.code, result.err) == (2, f"{tmp_path / 'none.png'}: no such file or folder\n")
    assert run_command(*arguments, "-m", str(weights_file), "--format", "gif").code == 2
    assert not (tmp_path / "out").exists()


def test_restore_prints_a_line_or_json(run_command: RunCommand, weights_file: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    io.write(tmp_path / "in" / "a b é.png", Image(np.zeros((8, 9, 3), dtype=np.uint8)))
    arguments = ("restore", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "-m", str(weights_file), "--map")
    result = run_command(*arguments)
    assert result.code == 0
    assert result.out.startswith("1 restored, 0 skipped, 0 failed; tiles by branch, cheapest first: ")
    assert "1/1 " in result.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a b é.png", "a b é.map.png"}
    (tmp_path / "in" / "bad.png").touch()
    result = run_command(
        *arguments, "--json", "--skip-existing", "--format", "png", "--quality", "50", "--strip-metadata"
    )
    assert result.code == 1
    assert json.loads(result.out)["total"].items() >= {"restored": 0, "skipped": 1, "failed": 1}.items()
    assert run_command(*arguments[:-1], "--format", "jpeg").code == 1
    assert (tmp_path / "out" / "a b é.jpeg").is_file()


def piped(weights_file: Path, content: bytes, *more: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "lowvision", "restore", "-", "-o", "-", "-m", str(weights_file)]
    command += ["--device", "cpu", "--runtime", "torch", *more]
    return subprocess.run(command, input=content, capture_output=True, check=False)


def test_an_image_is_read_from_stdin_and_written_to_stdout(weights_file: Path, tmp_path: Path) -> None:
    io.write(tmp_path / "a.tif", Image(np.full((8, 9, 3), 77, dtype=np.uint16)))
    result = piped(weights_file, (tmp_path / "a.tif").read_bytes(), "--format", "png")
    assert result.returncode == 0
    assert b"1 restored" in result.stderr
    assert b"1/1 - -> -: 9x8 -> 18x16" in result.stderr
    (tmp_path / "b.png").write_bytes(result.stdout)
    assert io.read(tmp_path / "b.png").pixels.shape == (16, 18, 3)
    assert io.read(tmp_path / "b.png").pixels.dtype == np.uint16


def test_a_damaged_image_from_stdin_is_called_by_a_dash(weights_file: Path) -> None:
    result = piped(weights_file, b"\x89PNG\r\n\x1a\n" + bytes(40))
    assert result.returncode == 1
    assert b"1/1 -: failed: the image is damaged" in result.stderr
    assert not result.stdout


def test_stdin_and_stdout_accept_one_image(run_command: RunCommand, weights_file: Path, tmp_path: Path) -> None:
    for arguments in (("a.png", "b.png", "-o", "-"), ("-", "a.png"), (str(tmp_path), "-o", "-")):
        result = run_command("restore", *arguments, "-m", str(weights_file))
        assert result.code == 2
        assert "take" in result.err


def test_invalid_sizes_and_colours_are_refused(run_command: RunCommand, weights_file: Path, tmp_path: Path) -> None:
    arguments = ("restore", str(tmp_path), "-m", str(weights_file))
    assert "exclude each other" in run_command(*arguments, "--scale", "2", "--width", "9").err
    assert "is not a colour" in run_command(*arguments, "--background", "whiteish").err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("clip.mp4",), "--cluster: a clip is restored on one machine; omit --cluster"),
        (("-", "-o", "-"), "-: standard input and output need one process; omit --cluster"),
    ],
)
def test_what_needs_one_machine_is_refused_on_a_cluster(
    arguments: tuple[str, ...], message: str, run_command: RunCommand, weights_file: Path
) -> None:
    result = run_command("restore", *arguments, "-m", str(weights_file), "--cluster", "local")
    assert (result.code, result.err) == (2, f"{message}\n")
