"""Claims about `lowvision bench`."""

from __future__ import annotations

from pathlib import Path

from cli.saying import Say


def test_bench_tells_wrong_words_before_anything_is_measured(say: Say, weights_file: Path, tmp_path: Path) -> None:
    for words, told in (
        (("--size", "960"), "--size 960"),
        (("--rows", "route"), "no method 'route'"),
        (("--device", "warp"), "no device 'warp'"),
        (("--shares", "50,50"), "2 values for 3 branches"),
    ):
        said = say("bench", str(weights_file), *words)
        assert (said.code, said.out) == (2, "")
        assert told in said.err
    assert say("bench", str(tmp_path / "none.safetensors")).code == 1
