"""Claims about the networks of a weights file: read late, never changed by a runtime, and told apart by content."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tiny
import torch

from lowvision.errors import WeightsError
from lowvision.inference import trained_networks
from lowvision.models import weights
from lowvision.plugins import registry

KNOWN = registry.load()


def test_a_container_has_its_branches_and_its_classifier(weights_file: Path) -> None:
    bundle = trained_networks.read(weights_file, KNOWN)
    assert len(bundle.branches) == len(bundle.architecture.branches) == 3
    assert bundle.classifier is not None


def test_a_single_network_has_no_classifier(tmp_path: Path) -> None:
    path = tiny.write_weights(tmp_path / "w.safetensors", tiny.architecture().only(1))
    bundle = trained_networks.read(path, KNOWN)
    assert (len(bundle.branches), bundle.classifier) == (1, None)


def test_a_module_is_a_copy_in_eval_that_may_be_changed(weights_file: Path) -> None:
    branch = trained_networks.read(weights_file, KNOWN).branches[0]
    first = branch.module()
    assert not first.training
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.zero_()
    assert any(parameter.any() for parameter in branch.module().parameters())


def test_folding_keeps_the_outputs_and_can_be_left_out(weights_file: Path) -> None:
    branch = trained_networks.read(weights_file, KNOWN).branches[0]
    images = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        expected = branch.module()(images)
        torch.testing.assert_close(branch.folded()(images), expected, rtol=1e-4, atol=1e-5)
        assert torch.equal(branch.unfolded().folded()(images), expected)


def test_the_identity_is_that_of_the_content_not_of_the_name(weights_file: Path, tmp_path: Path) -> None:
    shutil.copyfile(weights_file, tmp_path / "copy.safetensors")
    other = tmp_path / "other.safetensors"
    torch.manual_seed(1)
    architecture = tiny.architecture()
    weights.save(other, architecture.build(), architecture, KNOWN, {})
    original, copied, different = (
        trained_networks.read(path, KNOWN).identity for path in (weights_file, tmp_path / "copy.safetensors", other)
    )
    assert original == copied != different


def test_branches_of_one_file_have_different_identities(weights_file: Path) -> None:
    bundle = trained_networks.read(weights_file, KNOWN)
    identities = [network.identity for network in (*bundle.branches, bundle.classifier)]  # type: ignore[union-attr, attr-defined]  # all are of the file
    assert len(set(identities)) == 4


def test_a_file_that_changes_between_reading_and_use_is_an_error(weights_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    shutil.copyfile(weights_file, path)
    bundle = trained_networks.read(path, KNOWN)
    content = bytearray(path.read_bytes())
    content[-4:] = b"\0\0\0\0" if content[-4:] != b"\0\0\0\0" else b"\0\0\x80\x3f"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"w\.safetensors: changed while it was in use; run the command again"):
        bundle.branches[0].module()
