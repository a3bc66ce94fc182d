"""Claims about `lowvision cache`."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.command_result import RunCommand


def test_cache_prints_its_size_and_clears(
    run_command: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOWVISION_CACHE", str(tmp_path / "cache"))
    assert run_command("cache").out.startswith(f"{tmp_path / 'cache'}: 0.00 GiB of at most")
    assert run_command("cache", "clear").out == f"{tmp_path / 'cache'}: 0.00 GiB freed\n"
