"""Claims about `lowvision convert`."""

from __future__ import annotations

from pathlib import Path

import tiny
import torch
from first_party.test_sr_reference import fsrcnn_layout

from cli.saying import Say


def test_convert_prints_the_networks_and_their_origin(say: Say, tmp_path: Path) -> None:
    torch.save({"params": fsrcnn_layout(4, 3, 1)}, tmp_path / "theirs.pth")
    output = tmp_path / "ours.safetensors"
    words = ("convert", str(tmp_path / "theirs.pth"), "-o", str(output), "--format", "classsr: {scale: 3}")
    said = say(*words)
    assert said.code == 0, said.err
    assert said.out == f"{output}: fsrcnn for sr x3, 1,398 parameters, from theirs.pth (classsr)\n"
    assert output.is_file()


def test_a_failed_conversion_leaves_no_file(say: Say, tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "theirs.pth")
    said = say("convert", str(tmp_path / "theirs.pth"), "-o", str(tmp_path / "ours.safetensors"))
    assert said.code == 1
    assert "contains no tensors by name, but epoch" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.pth"]


def test_an_impossible_reduction_is_an_error(say: Say, tmp_path: Path) -> None:
    path = tiny.write_weights(tmp_path / "fsrcnn.safetensors", tiny.architecture().only(0))
    words = ("convert", str(path), "-o", str(tmp_path / "fused.safetensors"), "--reduce", "{reparam: fused}")
    said = say(*words)
    assert said.code == 1
    assert "branch 0: FSRCNN has no training form that could be fused" in said.err
    for option, value in (("--format", "classsr"), ("--scale", "2"), ("--task", "sr")):
        assert f"--reduce: cannot be combined with {option}" in say(*words, option, value).err


def test_options_select_the_scale_and_replace_the_task(say: Say, tmp_path: Path) -> None:
    torch.save({"params": fsrcnn_layout(4, 3, 1)}, tmp_path / "theirs.pth")
    words = ("convert", str(tmp_path / "theirs.pth"), "-o", str(tmp_path / "ours.safetensors"))
    assert "fsrcnn for sr x2, " in say(*words, "--scale", "2").out
    assert "fsrcnn for unknown x3, " in say(*words, "--scale", "3", "--task", "{unknown: {scale: 3}}").out
    said = say(*words, "--task", "{denoise: {sigma: 25}}")
    assert said.code == 2
    assert "--task: denoise of scale 1, 3 channels, but the weights are for sr of scale 4, 3 channels" in said.err
