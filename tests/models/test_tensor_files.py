"""Claims about the tensors in files of other programs: wrappers are removed, code is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from lowvision.errors import WeightsError
from lowvision.models import tensor_files
from lowvision_sr import FSRCNN, SuperResolution

STATE = FSRCNN(channels=4, shrink=3, layers=1).build(SuperResolution(scale=2)).state_dict()


def saved(state: Any, folder: Path, name: str = "theirs.pth") -> Path:
    torch.save(state, folder / name)
    return folder / name


@pytest.mark.parametrize("inner", [("params",), ("params_ema",), ("state_dict",), ("model",), ("net", "params"), ()])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrappers_around_the_tensors_are_removed(inner: tuple[str, ...], prefix: str, tmp_path) -> None:
    state: Any = {prefix + name: tensor for name, tensor in STATE.items()}
    for key in reversed(inner):
        state = {"epoch": 3, key: state}
    read = tensor_files.tensors(saved(state, tmp_path))
    assert read.keys() == STATE.keys()
    assert all(torch.equal(read[name], STATE[name]) for name in STATE)


def test_a_folder_is_not_read_as_weights(tmp_path) -> None:
    with pytest.raises(WeightsError, match="is a folder; give a weights file"):
        tensor_files.is_pickled(tmp_path)


def test_averaged_weights_are_preferred(tmp_path) -> None:
    averaged = {name: tensor + 1 for name, tensor in STATE.items()}
    read = tensor_files.tensors(saved({"params": STATE, "params_ema": averaged}, tmp_path))
    assert all(torch.equal(read[name], averaged[name]) for name in STATE)


def test_the_legacy_pytorch_format_is_read(tmp_path) -> None:
    path = tmp_path / "old.pth"
    torch.save(STATE, path, _use_new_zipfile_serialization=False)
    assert tensor_files.tensors(path).keys() == STATE.keys()


class RunsCode:
    """An object that would run code when unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("must-not-be-there",)


def test_a_file_that_would_run_code_is_refused_with_its_imports_and_a_remedy(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = saved({"params": STATE, "more": RunsCode()}, tmp_path)
    with pytest.raises(WeightsError, match=r"needs posix\.mkdir.*rejected.*torch\.save\(network\.state_dict"):
        tensor_files.tensors(path)
    assert not (tmp_path / "must-not-be-there").exists()


def test_a_file_without_tensors_is_reported(tmp_path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        tensor_files.tensors(tmp_path / "nowhere.pth")
    with pytest.raises(WeightsError, match="is a folder; give a weights file"):
        tensor_files.tensors(tmp_path)
    with pytest.raises(WeightsError, match="contains no tensors by name, but epoch, lr; give a bare state dict"):
        tensor_files.tensors(saved({"epoch": 3, "lr": 0.1}, tmp_path))
    with pytest.raises(WeightsError, match="contains no tensors by name, but list"):
        tensor_files.tensors(saved([1, 2], tmp_path))
    with pytest.raises(WeightsError, match="contains no tensors by name, but nothing"):
        tensor_files.tensors(saved({}, tmp_path))
    whole = saved(STATE, tmp_path).read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="not a complete PyTorch file"):
        tensor_files.tensors(tmp_path / "cut.pth")
    (tmp_path / "text.pth").write_text("hello, these are no weights")
    with pytest.raises(WeightsError, match="not a weights file, or not a complete one"):
        tensor_files.tensors(tmp_path / "text.pth")


def test_the_tensors_of_an_ncnn_file_alone_name_the_other_half(tmp_path: Path) -> None:
    tensors = tmp_path / "net.bin"
    tensors.write_bytes(bytes(64))
    tensor_files.refuse_other_kinds(tensors)
    (tmp_path / "net.param").write_text("7767517")
    with pytest.raises(WeightsError, match=r"net\.bin: holds the tensors of an ncnn file; give net\.param beside it"):
        tensor_files.refuse_other_kinds(tensors)


@pytest.mark.parametrize(
    ("name", "reason"), [("a.safetensors", "not a complete safetensors"), ("a.md", "not a weights")]
)
def test_only_a_safetensors_file_is_called_incomplete(name: str, reason: str) -> None:
    assert str(tensor_files.incomplete(Path(name), ValueError("short"))).startswith(f"{name}: {reason} file")
