"""Claims about `lowvision restore`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cli.saying import Say
from lowvision.imaging import io
from lowvision.imaging.io import Image


def test_restore_without_any_weights_says_where_from(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWVISION_PLUGINS", "runtimes")
    said = say("restore", "photo.png")
    assert said.code == 2
    assert "-m FILE" in said.err
    assert "lowvision run" in said.err


def test_restore_tells_wrong_words_before_anything_is_written(say: Say, weights_file: Path, tmp_path: Path) -> None:
    words = ("restore", str(tmp_path / "none.png"), "-o", str(tmp_path / "out"))
    assert say(*words, "-m", str(tmp_path / "none.safetensors")).err.startswith(
        f"{tmp_path / 'none.safetensors'}: no such file"
    )
    said = say(*words, "-m", str(weights_file))
    assert (said.code, said.err) == (2, f"{tmp_path / 'none.png'}: no such file or folder\n")
    assert say(*words, "-m", str(weights_file), "--format", "gif").code == 2
    assert not (tmp_path / "out").exists()


def test_restore_prints_a_line_or_a_document(say: Say, weights_file: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    io.write(tmp_path / "in" / "a b é.png", Image(np.zeros((8, 9, 3), dtype=np.uint8)))
    words = ("restore", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "-m", str(weights_file), "--map")
    said = say(*words)
    assert said.code == 0
    assert said.out.startswith("1 restored, 0 skipped, 0 failed; branches ")
    assert "1/1 " in said.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a b é.png", "a b é.map.png"}
    (tmp_path / "in" / "bad.png").touch()
    said = say(*words, "--json", "--skip-existing", "--format", "png", "--quality", "50", "--strip-metadata")
    assert said.code == 1
    assert json.loads(said.out)["total"].items() >= {"restored": 0, "skipped": 1, "failed": 1}.items()
