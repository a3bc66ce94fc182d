"""Claims about `lowvision cp`."""

from __future__ import annotations

import json
from pathlib import Path

from cli.saying import Say


def test_cp_prints_the_copy_and_the_editor_setup(say: Say, tmp_path: Path) -> None:
    said = say("cp", "paper/sr_carn", str(tmp_path))
    file = tmp_path / "sr_carn.yml"
    assert said.out.splitlines() == [
        f"{file}: a copy of paper/sr_carn, which extends the shipped sr_carn",
        f"for completion in your editor: lowvision schema > {tmp_path / 'schema.json'}",
    ]
    assert say("check", str(file)).code == 0
    (tmp_path / "schema.json").touch()
    said = say("cp", "sr_carn", str(file), "--force")
    assert (said.code, said.out) == (0, f"{file}: a copy of sr_carn\n")


def test_cp_prints_json(say: Say, tmp_path: Path) -> None:
    made = json.loads(say("cp", "sr_carn", str(tmp_path / "a.yml"), "--json").out)
    assert made == {"recipe": "sr_carn", "file": str(tmp_path / "a.yml"), "extends": None}


def test_an_impossible_copy_is_an_error(say: Say, tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("mine")
    for words, told in ((("sr_carn", "a.yml"), "--force"), (("nothing", "b.yml"), "there are")):
        said = say("cp", words[0], str(tmp_path / words[1]))
        assert (said.code, said.out) == (2, "")
        assert told in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["a.yml"]
