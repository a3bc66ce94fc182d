"""Claims about `lowvision convert`."""

from __future__ import annotations

from pathlib import Path

import tiny
import torch
from first_party.test_sr_reference import fsrcnn_layout

from cli.command_result import RunCommand


def test_convert_prints_the_networks_and_their_origin(run_command: RunCommand, tmp_path: Path) -> None:
    torch.save({"params": fsrcnn_layout(4, 3, 1)}, tmp_path / "theirs.pth")
    output = tmp_path / "ours.safetensors"
    arguments = ("convert", str(tmp_path / "theirs.pth"), "-o", str(output), "--format", "classsr: {scale: 3}")
    result = run_command(*arguments)
    assert result.code == 0, result.err
    assert result.out == f"{output}: fsrcnn for sr x3, 1,398 parameters, from theirs.pth (classsr)\n"
    assert output.is_file()


def test_a_failed_conversion_leaves_no_file(run_command: RunCommand, tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "theirs.pth")
    result = run_command("convert", str(tmp_path / "theirs.pth"), "-o", str(tmp_path / "ours.safetensors"))
    assert result.code == 1
    assert "contains no tensors by name, but epoch" in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.pth"]


def test_an_impossible_reduction_is_an_error(run_command: RunCommand, tmp_path: Path) -> None:
    path = tiny.write_weights(tmp_path / "fsrcnn.safetensors", tiny.architecture().only(0))
    arguments = ("convert", str(path), "-o", str(tmp_path / "fused.safetensors"), "--reduce", "{reparam: fused}")
    result = run_command(*arguments)
    assert result.code == 1
    assert "branch 0: FSRCNN has no training form that could be fused" in result.err
    for option, value in (("--format", "classsr"), ("--scale", "2"), ("--task", "sr")):
        assert f"--reduce: cannot be combined with {option}" in run_command(*arguments, option, value).err


def test_options_select_the_scale_and_replace_the_task(run_command: RunCommand, tmp_path: Path) -> None:
    torch.save({"params": fsrcnn_layout(4, 3, 1)}, tmp_path / "theirs.pth")
    arguments = ("convert", str(tmp_path / "theirs.pth"), "-o", str(tmp_path / "ours.safetensors"))
    assert "fsrcnn for sr x2, " in run_command(*arguments, "--scale", "2").out
    assert "fsrcnn for unknown x3, " in run_command(*arguments, "--scale", "3", "--task", "{unknown: {scale: 3}}").out
    result = run_command(*arguments, "--task", "{denoise: {sigma: 25}}")
    assert result.code == 2
    assert "--task: denoise of scale 1, 3 channels, but the weights are for sr of scale 4, 3 channels" in result.err
