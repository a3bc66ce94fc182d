"""Claims about `lowvision convert`: its output file, its messages, and that the file is used like any other."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from first_party import test_sr_reference as reference

import lowvision
from lowvision.commands import convert, evaluate
from lowvision.errors import UsageError, WeightsError
from lowvision.imaging import io
from lowvision.models import weights, weights_header
from lowvision.models.architecture import Architecture
from lowvision.plugins import folder_dataset, registry

KNOWN = registry.load()


@pytest.fixture
def external_file(tmp_path: Path) -> Path:
    """A container of two FSRCNNs as the reference implementation saves it."""
    torch.manual_seed(0)
    branches = [reference.fsrcnn_layout(d, 4, 1) for d in (4, 8)]
    path = tmp_path / "FSRCNN_branch2.pth"
    torch.save({f"module.{name}": tensor for name, tensor in reference.container_layout(branches).items()}, path)
    return path


def test_the_output_is_the_same_network_with_its_origin(external_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "made" / "ours.safetensors"
    message = convert.convert(external_file, output, KNOWN)
    numbers = sum(tensor.numel() for tensor in torch.load(external_file, weights_only=True).values())
    assert message == (
        f"{output}: a container of fsrcnn, fsrcnn for sr x4, {numbers:,} parameters, from FSRCNN_branch2.pth (classsr)"
    )
    assert not weights.is_foreign(output)
    before, after = (weights.read_header(path, KNOWN) for path in (external_file, output))
    assert before == after
    assert after.provenance.origin == "FSRCNN_branch2.pth (classsr)"
    networks = [weights.load_container(path, after.architecture, KNOWN) for path in (external_file, output)]
    assert all(torch.equal(a, b) for a, b in zip(*(n.state_dict().values() for n in networks), strict=True))


def test_the_header_contains_no_local_paths(external_file: Path, tmp_path: Path) -> None:
    convert.convert(external_file, tmp_path / "ours.safetensors", KNOWN)
    raw = (tmp_path / "ours.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    assert str(tmp_path) not in json.dumps(json.loads(raw[8 : 8 + length]))


def test_overwriting_the_input_or_converting_own_format_is_refused(external_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is the file to convert"):
        convert.convert(external_file, external_file, KNOWN)
    own = tiny.write_weights(tmp_path / "own.safetensors", tiny.architecture())
    with pytest.raises(WeightsError, match="is in lowvision's format already"):
        convert.convert(own, tmp_path / "ours.safetensors", KNOWN)


def test_a_format_can_be_given_with_options(external_file: Path, tmp_path: Path) -> None:
    chosen_format = convert.parse_format("classsr: {scale: 2}", KNOWN)
    assert "for sr x2" in convert.convert(external_file, tmp_path / "ours.safetensors", KNOWN, chosen_format)
    assert convert.parse_format("classsr", KNOWN) == KNOWN.find("formats", "classsr").component()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("clasr", "--format: clasr: no format named 'clasr'; did you mean 'classsr'?"),
        ("classsr: {scale: 5}", "--format: classsr.scale: must be 2, 3 or 4, not 5"),
        ("[classsr]", "--format: must be one name, or one name with its options"),
    ],
)
def test_an_unknown_format_is_reported(argument: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        convert.parse_format(argument, KNOWN)
    assert str(caught.value).startswith(message)


def test_an_external_file_restores_like_its_conversion(external_file: Path, tmp_path: Path, caplog) -> None:
    caplog.set_level("INFO", "lowvision")
    output = tmp_path / "ours.safetensors"
    convert.convert(external_file, output, KNOWN)
    photo = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    restored = [lowvision.load(path, device="cpu", runtime="torch").restore(photo) for path in (external_file, output)]
    assert caplog.messages == ["FSRCNN_branch2.pth (classsr): a container of fsrcnn, fsrcnn for sr x4"]
    assert restored[0].image.shape == (160, 224, 3)
    assert np.array_equal(restored[0].image, restored[1].image)
    assert np.array_equal(restored[0].choice, restored[1].choice)


def test_an_external_file_can_be_evaluated(external_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    io.write(folder / "a.png", io.Image(np.full((64, 64, 3), 90, np.uint8)))
    sets = {"photos": folder_dataset.Folder(path=str(folder))}
    document = evaluate.evaluate(external_file, sets, KNOWN, None, "cpu")
    assert document["task"] == {"sr": {"scale": 4, "channels": 3}}


# Reduced


FUSED = convert.parse_reduction("{reparam: fused}", KNOWN)


def acnet(*channels: int, fused: bool = False) -> Architecture:
    """Return small ACNets x2: a single network, or a container of several."""
    return Architecture.model_validate(
        {
            "task": {"sr": {"scale": 2}},
            "branches": tuple({"acnet": {"channels": width, "layers": 2, "fused": fused}} for width in channels),
            "classifier": "class_module" if len(channels) > 1 else None,
            "tile": {"size": 16},
        },
        context=KNOWN,
    )


def test_a_fused_network_has_equal_results_and_cost_and_a_smaller_file(tmp_path: Path) -> None:
    path, output = tiny.write_weights(tmp_path / "acnet.safetensors", acnet(4)), tmp_path / "fused.safetensors"
    message = convert.reduce(path, output, KNOWN, FUSED)
    assert message == f"{output}: acnet for sr x2, 1 of 1 reduced"
    assert weights.read_header(output, KNOWN).architecture == acnet(4, fused=True)
    image = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    before, after = (lowvision.load(file, device="cpu", runtime="torch").restore(image) for file in (path, output))
    assert np.abs(before.image.astype(int) - after.image).max() <= 1  # a value may lie between two of 8 bits
    assert after.cost == before.cost  # the file of the training form is restored in the fused form, too
    assert output.stat().st_size < path.stat().st_size


def test_every_fusable_branch_of_a_container_is_fused(tmp_path: Path) -> None:
    architecture = acnet(4, 8, 12).replace(branches=(acnet(4, fused=True).branches + acnet(8, 12).branches))
    path = tmp_path / "container.safetensors"
    torch.manual_seed(0)
    network = architecture.build_container()
    curve = {"curve/k": (0.0,), "curve/share_of_base_whole": (1.0,), "curve/psnr_rgb": (30.0,)}
    facts = {"psnr_rgb": 30.0, **curve, "curve/last_branch_on_every_tile/psnr_rgb": 30.0}
    provenance = weights_header.Provenance(about="For tests.", license="Apache-2.0")
    weights.save(path, network, architecture, KNOWN, facts, provenance)
    output = tmp_path / "fused.safetensors"
    message = convert.reduce(path, output, KNOWN, FUSED)
    assert "a container of acnet, acnet, acnet for sr x2, 2 of 3 reduced; its curve is left out" in message
    header = weights.read_header(output, KNOWN)
    assert header.architecture == acnet(4, 8, 12, fused=True)
    assert (header.measured, header.provenance) == ({"psnr_rgb": 30.0}, provenance)
    fused = weights.load_container(output, header.architecture, KNOWN).eval()
    tiles = torch.rand(3, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(fused(tiles), network.eval()(tiles), atol=1e-5, rtol=1e-5)


def test_an_irreducible_network_is_reported_and_nothing_is_written(tmp_path: Path) -> None:
    output = tmp_path / "reduced.safetensors"
    fsrcnn = tiny.write_weights(tmp_path / "fsrcnn.safetensors", tiny.architecture().only(0))
    with pytest.raises(WeightsError, match="no branch is reduced: branch 0: FSRCNN has no training form"):
        convert.reduce(fsrcnn, output, KNOWN, FUSED)
    fewer = convert.parse_reduction("{channels: 2}", KNOWN)
    with pytest.raises(WeightsError, match=r"FSRCNN at level 2: its output differs by .*must be trained"):
        convert.reduce(fsrcnn, output, KNOWN, fewer)
    fused = tiny.write_weights(tmp_path / "fused.safetensors", acnet(4, fused=True))
    with pytest.raises(WeightsError, match="no branch is reduced: each is reduced already"):
        convert.reduce(fused, output, KNOWN, FUSED)
    with pytest.raises(UsageError, match="is the file to convert"):
        convert.reduce(fused, fused, KNOWN, FUSED)
    assert not output.exists()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("reparam", "must be a reducer and its level, e.g. '{reparam: fused}'; got 'reparam'"),
        ("{reparam: fused, channels: 8}", "must be a reducer and its level"),
        ("{repram: fused}", "no reducer named 'repram'; did you mean 'reparam'"),
        ("{channels: [8]}", "level"),
    ],
)
def test_an_invalid_reduction_is_reported(argument: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^--reduce: .*{re.escape(message)}"):
        convert.parse_reduction(argument, KNOWN)
