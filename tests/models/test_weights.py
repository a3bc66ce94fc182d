"""A weights file rebuilds its network; the error for a mismatch lists missing and unexpected tensors."""

from __future__ import annotations

import json
import pickle
import struct
from importlib.metadata import version

import pytest
import torch
from torch import nn

from lowvision.errors import WeightsError
from lowvision.models import state_dict, weights
from lowvision.models.architecture import Architecture, Tile
from lowvision.plugins import registry

KNOWN = registry.load()


def pick(kind: str, name: str, **options):
    return KNOWN.find(kind, name).component(**options)


def container(channels=(4, 8), backbone="fsrcnn", scale=2) -> Architecture:
    return Architecture(
        task=pick("tasks", "sr", scale=scale),
        branches=tuple(pick("backbones", backbone, channels=c) for c in channels),
        classifier=pick("classifiers", "class_module"),
        tile=Tile(size=16, overlap=2),
    )


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "made.safetensors"
    container_ = container().build_container()
    weights.save(path, container_, container(), KNOWN, {"psnr": 30.5, "shares": [0.25, 0.75]})
    return path, container_


def test_the_header_alone_rebuilds_the_container(saved):
    path, container_ = saved
    header = weights.read_header(path, KNOWN)
    assert header.kind == "container"
    assert header.architecture == container()
    assert header.measured == {"psnr": 30.5, "shares": (0.25, 0.75)}
    again = weights.load_container(path, header.architecture, KNOWN)
    tiles = torch.rand(2, 3, 16, 16)
    assert torch.equal(again.eval().route(tiles).image, container_.eval().route(tiles).image)


def test_a_single_branch_is_saved_as_a_network(tmp_path):
    only = container().only(-1)
    assert only.kind == "backbone"
    network = only.build_network()
    weights.save(tmp_path / "n.safetensors", network, only, KNOWN, {})
    again = weights.load_network(tmp_path / "n.safetensors", only, KNOWN)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


def test_the_header_is_json_without_local_paths(saved):
    path, _ = saved
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    metadata = json.loads(raw[8 : 8 + length])["__metadata__"]
    assert set(metadata) == {"lowvision"}
    assert str(path.parent) not in metadata["lowvision"]
    assert json.loads(metadata["lowvision"])["plugins"] == {"lowvision-framework": version("lowvision-framework")}


def test_weights_of_another_size_are_reported_with_both_shapes(saved):
    path, _ = saved
    with pytest.raises(WeightsError) as error:
        weights.load_container(path, container(channels=(4, 9)), KNOWN)
    assert "channels=9" in str(error.value)
    assert "channels=8" in str(error.value)
    assert "of another shape" in str(error.value)


def test_weights_of_another_network_are_reported_with_missing_and_unexpected_tensors(saved):
    path, _ = saved
    with pytest.raises(WeightsError, match=r"(?s)missing: .*unexpected: "):
        weights.load_container(path, container(channels=(8, 12), backbone="carn"), KNOWN)


def test_equal_shapes_of_another_scale_or_skip_are_refused(saved):
    path, _ = saved
    with pytest.raises(WeightsError, match=r"for sr x2; needed .* for sr x3"):
        weights.load_container(path, container(scale=3), KNOWN)
    skips = tuple(b.replace(skip="bicubic") for b in container().branches)
    with pytest.raises(WeightsError, match=r"skip=none.*skip=bicubic"):
        weights.load_container(path, container().replace(branches=skips), KNOWN)


def test_a_container_returns_an_existing_branch_and_rejects_others(saved):
    path, container_ = saved
    for k, theirs in enumerate(container_.branches.networks):
        own = weights.load_network(path, container().only(k), KNOWN)
        assert all(torch.equal(a, b) for a, b in zip(own.parameters(), theirs.parameters(), strict=True))
    with pytest.raises(WeightsError, match="holds a container"):
        weights.load_network(path, container(channels=(8, 9)).only(-1), KNOWN)


def test_damaged_weights_files_are_reported(saved, tmp_path):
    path, _ = saved
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="not a complete safetensors file"):
        weights.read_header(cut, KNOWN)
    pickled = tmp_path / "old.pth"
    torch.save({"x": torch.zeros(1)}, pickled)
    with pytest.raises(WeightsError, match="no format recognises it"):
        weights.read_header(pickled, KNOWN)
    pickled.write_bytes(pickle.dumps({"x": 1}, protocol=2))
    with pytest.raises(WeightsError, match="not a complete PyTorch file"):
        weights.read_header(pickled, KNOWN)
    with pytest.raises(WeightsError, match="no such file"):
        weights.read_header(tmp_path / "nowhere.safetensors", KNOWN)


def changed(path, **facts):
    """Return a copy of the file with changed header fields."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    head = json.loads(raw[8 : 8 + length])
    head["__metadata__"]["lowvision"] = json.dumps(json.loads(head["__metadata__"]["lowvision"]) | facts)
    text = json.dumps(head).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])
    return path


def test_a_newer_format_version_is_reported(saved):
    with pytest.raises(WeightsError, match="format 99 is newer"):
        weights.read_header(changed(saved[0], format=99), KNOWN)


def test_a_backbone_of_a_missing_plugin_is_reported_with_the_plugin_version(saved):
    header = weights.read_header(saved[0], KNOWN).model_dump(mode="json", context=KNOWN)
    header["architecture"]["branches"] = [{"acme_net": {}}]
    path = changed(saved[0], architecture=header["architecture"], plugins={"lowvision-acme": "1.2"})
    with pytest.raises(WeightsError, match=r"(?s)acme_net.*lowvision-acme 1\.2"):
        weights.read_header(path, KNOWN)


def test_a_failed_write_leaves_the_old_file(saved, monkeypatch):
    path, container_ = saved
    before = path.read_bytes()

    def full_disk(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights, "serialized", full_disk)
    with pytest.raises(WeightsError, match="No space left"):
        weights.save(path, container_, container(), KNOWN, {})
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("start", [b"\x80\x03", b"PK"], ids=["pickle", "zip"])
def test_a_header_whose_length_looks_like_a_pickle_is_read(saved, start):
    path, _ = saved
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    longer = int.from_bytes(start, "little") + (0x10000 if start == b"\x80\x03" else 0)  # beyond what it holds
    padded = whole[8 : 8 + length].ljust(longer)  # safetensors takes spaces behind the header
    path.write_bytes(longer.to_bytes(8, "little") + padded + whole[8 + length :])
    assert path.read_bytes().startswith(start)
    assert weights.read_header(path, KNOWN).architecture == container()


class Tied(nn.Module):
    """A network with one convolution under two names."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 3, 1)
        self.second = self.first


def test_shared_tensors_are_stored_once():
    stored = weights._stored_once(Tied())
    assert sorted(stored) == ["first.bias", "first.weight"]
    assert state_dict.difference(Tied().state_dict(), stored) == ""
