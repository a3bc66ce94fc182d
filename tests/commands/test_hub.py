"""Weights uploaded to a repository of the Hub are the weights that come back, with a card and without code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import fake_hub
import numpy as np
import pytest
import tiny
import torch
from documents import document

import lowvision
from lowvision.errors import UsageError, WeightsError


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[fake_hub.Hub]:
    """A hub on this machine, and an empty cache of downloads."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    with fake_hub.running() as running:
        yield running


@pytest.fixture
def network_file(tmp_path: Path) -> Path:
    return tiny.write_weights(tmp_path / "own.safetensors", tiny.architecture().only(0))


def test_what_is_pushed_is_loaded_again(hub: fake_hub.Hub, network_file: Path) -> None:
    url = lowvision.push_to_hub(
        network_file, "acme/own-x2", report=document(0), private=True, token="hf_secret", endpoint=hub.endpoint
    )
    assert url == f"{hub.endpoint}/acme/own-x2/commit/{fake_hub.COMMIT}"
    files = hub.repos["acme/own-x2"]
    assert files.keys() == {"model.safetensors", "README.md", "report.json"}
    assert files["model.safetensors"] == network_file.read_bytes()
    assert json.loads(files["report.json"]) == document(0)
    assert hub.private["acme/own-x2"]
    assert set(hub.tokens) <= {"Bearer hf_secret", None}
    readme = files["README.md"].decode()
    assert "# own-x2\n" in readme
    assert 'lowvision.from_pretrained("acme/own-x2")' in readme
    assert "hf_secret" not in readme
    image = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    loaded = lowvision.from_pretrained("acme/own-x2", endpoint=hub.endpoint, device="cpu", runtime="torch")
    expected = lowvision.load(network_file, device="cpu", runtime="torch")
    assert np.array_equal(loaded.restore(image).image, expected.restore(image).image)


def test_a_folder_is_a_repository_without_the_hub(network_file: Path) -> None:
    loaded = lowvision.from_pretrained(network_file.parent, file=network_file.name, device="cpu", runtime="torch")
    assert loaded.scale == 2


def test_a_repository_that_is_not_there_is_told_with_a_way_out(hub: fake_hub.Hub) -> None:
    with pytest.raises(WeightsError, match=r"^acme/nothing: .*; check the name, the connection and `hf auth login`"):
        lowvision.from_pretrained("acme/nothing", endpoint=hub.endpoint)


def test_without_a_connection_the_message_is_one_line(hub: fake_hub.Hub, network_file: Path) -> None:
    with pytest.raises(WeightsError, match=r"^acme/own: .*; check the name, the connection") as caught:
        lowvision.push_to_hub(network_file, "acme/own", endpoint="http://127.0.0.1:9")
    assert "\n" not in str(caught.value)


def test_a_file_of_another_program_is_converted_first(tmp_path: Path) -> None:
    torch.save({"body.weight": torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="is not in lowvision's format; write it by `lowvision convert`"):
        lowvision.push_to_hub(tmp_path / "w.pth", "acme/own")


def test_without_the_library_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r"from_pretrained: huggingface_hub is not installed; pip install .*\[hub\]"):
        lowvision.from_pretrained("acme/own-x2")
