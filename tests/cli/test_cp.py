"""Claims about `lowvision cp`."""

from __future__ import annotations

import json
from pathlib import Path

from cli.command_result import RunCommand


def test_cp_prints_the_copy_and_the_editor_setup(run_command: RunCommand, tmp_path: Path) -> None:
    result = run_command("cp", "paper/sr_carn", str(tmp_path))
    file = tmp_path / "sr_carn.yml"
    assert result.out.splitlines() == [
        f"{file}: a copy of paper/sr_carn, which extends the shipped sr_carn",
        f"for completion in your editor: lowvision schema > {tmp_path / 'schema.json'}",
    ]
    assert run_command("check", str(file)).code == 0
    (tmp_path / "schema.json").touch()
    result = run_command("cp", "sr_carn", str(file), "--force")
    assert (result.code, result.out) == (0, f"{file}: a copy of sr_carn\n")


def test_cp_prints_json(run_command: RunCommand, tmp_path: Path) -> None:
    document = json.loads(run_command("cp", "sr_carn", str(tmp_path / "a.yml"), "--json").out)
    assert document == {"recipe": "sr_carn", "file": str(tmp_path / "a.yml"), "extends": None}


def test_an_impossible_copy_is_an_error(run_command: RunCommand, tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("mine")
    for arguments, message in ((("sr_carn", "a.yml"), "--force"), (("nothing", "b.yml"), "there are")):
        result = run_command("cp", arguments[0], str(tmp_path / arguments[1]))
        assert (result.code, result.out) == (2, "")
        assert message in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["a.yml"]
