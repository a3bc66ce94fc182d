"""Weights are found below the keys of training programs, and files without weights are reported as what they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from first_party.test_light_files import imdn_layout
from safetensors.torch import save_file
from torch import Tensor

from lowvision.errors import WeightsError
from lowvision.models import external_weights, tensor_files, weights
from lowvision.plugins import registry

REGISTRY = registry.load()
STATE: Mapping[str, Tensor] = {f"body.{n}.weight": torch.full((2, 2), float(n)) for n in range(3)}

KEYS = (
    "params_ema",
    "params-ema",
    "net_g",
    "g_ema",
    "ema",
    "generator_state_dict",
    "state_dict",
    "somebody's own name",
)


@pytest.mark.parametrize("key", KEYS)
def test_the_tensors_are_found_under_any_key(tmp_path: Path, key: str) -> None:
    torch.save({key: dict(STATE), "iteration": 3, "optimizer": {"lr": 0.1}}, tmp_path / "w.pth")
    assert tensor_files.tensors(tmp_path / "w.pth").keys() == STATE.keys()


def test_the_moving_average_is_preferred(tmp_path: Path) -> None:
    doubled = {name: 2 * tensor for name, tensor in STATE.items()}
    torch.save({"params": dict(STATE), "params-ema": doubled}, tmp_path / "w.pth")
    assert torch.equal(tensor_files.tensors(tmp_path / "w.pth")["body.1.weight"], doubled["body.1.weight"])


@pytest.mark.parametrize("number", [np.float64(31.2), np.float32(1), np.int64(7), np.bool_(True)])
def test_numpy_scalars_beside_the_tensors_are_accepted(tmp_path: Path, number: Any) -> None:
    torch.save({"state_dict": dict(STATE), "best_psnr": number}, tmp_path / "w.pth")
    assert tensor_files.tensors(tmp_path / "w.pth").keys() == STATE.keys()


def test_other_pickled_objects_are_refused_as_code(tmp_path: Path) -> None:
    torch.save({"state_dict": dict(STATE), "path": tmp_path}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="could execute code"):
        tensor_files.tensors(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "is a pointer of Git LFS"),
        (b"\n  <!DOCTYPE html><html>sign in</html>", "is a web page, not weights"),
        (b"<html>", "is a web page, not weights"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", r"is an image \(PNG\), not weights"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", r"is an image \(JPEG\), not weights"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_files_of_other_kinds_are_named_for_what_they_are(
    tmp_path: Path, content: bytes, message: str, suffix: str
) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        weights.read_header(path, REGISTRY)


@pytest.mark.parametrize("signature", [b"BM", b"P6"])
def test_a_header_whose_length_spells_an_image_is_no_image(tmp_path: Path, signature: bytes) -> None:
    save_file(dict(STATE), tmp_path / "w.safetensors")
    content = (tmp_path / "w.safetensors").read_bytes()
    length, padded = int.from_bytes(content[:8], "little"), int.from_bytes(signature, "little")
    header = content[8 : 8 + length].ljust(padded)
    (tmp_path / "w.safetensors").write_bytes(padded.to_bytes(8, "little") + header + content[8 + length :])
    assert (tmp_path / "w.safetensors").read_bytes().startswith(signature)
    assert tensor_files.tensors(tmp_path / "w.safetensors").keys() == STATE.keys()


def wrapped(prefix: str) -> Callable[[Mapping[str, Tensor]], dict[str, Tensor]]:
    return lambda state: {prefix + name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "generator.", "net_g.", "module._orig_mod.model."])
def test_wrapper_prefixes_are_removed_and_reported(
    tmp_path: Path, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    state = imdn_layout()
    content = {"n_averaged": torch.tensor(3), **wrapped(prefix)(state)} if prefix else state
    torch.save(content, tmp_path / "w.pth")
    with caplog.at_level("INFO", "lowvision"):
        external = external_weights.read(tmp_path / "w.pth", REGISTRY)
    assert external.format == "imdn_file"
    assert bool(prefix) == (f"the prefix '{prefix}' of all names is removed" in caplog.text)
