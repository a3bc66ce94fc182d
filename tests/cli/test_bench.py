"""Claims about `lowvision bench`."""

from __future__ import annotations

from pathlib import Path

from cli.command_result import RunCommand


def test_bench_reports_invalid_arguments_before_measuring(
    run_command: RunCommand, weights_file: Path, tmp_path: Path
) -> None:
    for arguments, message in (
        (("--size", "960"), "--size 960"),
        (("--rows", "route"), "no method 'route'"),
        (("--device", "warp"), "no device 'warp'"),
        (("--shares", "50,50"), "2 values for 3 branches"),
    ):
        result = run_command("bench", str(weights_file), *arguments)
        assert (result.code, result.out) == (2, "")
        assert message in result.err
    assert run_command("bench", str(tmp_path / "none.safetensors")).code == 1
