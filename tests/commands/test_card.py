"""Claims about model cards: they state what the header states, and are valid Markdown with metadata."""

from __future__ import annotations

from pathlib import Path

import tiny
import torch
import yaml
from documents import document

from lowvision import multiply_adds
from lowvision.commands.card import card
from lowvision.models import weights
from lowvision.models.weights_header import Provenance
from lowvision.plugins import registry
from lowvision.report import table

KNOWN = registry.load()


def write(folder: Path, provenance: Provenance) -> Path:
    architecture = tiny.architecture()
    torch.manual_seed(0)
    path = folder / "acme-x2.safetensors"
    measured = {"psnr": 31.256, "shares": [0.5, 0.25, 0.25]}
    weights.save(path, architecture.build(), architecture, KNOWN, measured, provenance)
    return path


def test_a_card_states_task_networks_cost_measurements_and_licence(tmp_path: Path) -> None:
    path = write(tmp_path, Provenance(about="Trained on meadows.", license="Apache-2.0"))
    text = card(path, KNOWN)
    _, metadata, body = text.split("---\n", 2)
    assert yaml.safe_load(metadata) == {
        "license": "apache-2.0",
        "library_name": "lowvision",
        "pipeline_tag": "image-to-image",
        "tags": ["lowvision", "sr", "fsrcnn"],
    }
    architecture = tiny.architecture()
    branch = architecture.branches[0].build(architecture.task)
    counted = multiply_adds(branch, (1, 3, 16, 16))
    parameters = sum(parameter.numel() for parameter in branch.parameters())
    assert f"| branch 0 | {parameters:,} | {counted:,} |" in body
    assert "# acme-x2\n\nTrained on meadows.\n" in body
    assert "| psnr | 31.26 |" in body
    assert "| shares | 0.5, 0.25, 0.25 |" in body
    assert "| classifier | class_module |" in body
    assert "| task | sr, scale 2, channels 3" in body
    assert "lowvision restore photo.png -m acme-x2.safetensors" in body


def test_a_card_omits_what_the_header_does_not_state(tmp_path: Path) -> None:
    text = card(write(tmp_path, Provenance()), KNOWN)
    assert "license:" not in text
    assert "| licence | not stated |" in text
    assert "The file states no purpose and no training data." in text


CURVE = {
    "curve/k": (1.0, 0.0),
    "curve/share_of_base_whole": (0.25, 1.0),
    "curve/psnr_rgb@crop2": (30.0, 30.25),
    "curve/last_branch_on_every_tile/psnr_rgb@crop2": 30.3,
}


def test_the_protocol_is_that_of_the_file(tmp_path: Path) -> None:
    architecture, path = tiny.architecture(), tmp_path / "w.safetensors"
    provenance = Provenance(validated="means over 8 fixed tiles of meadow", calibrated="means over 3 centres of meadow")
    weights.save(path, architecture.build(), architecture, KNOWN, {"psnr": 31.256, **CURVE}, provenance)
    training, calibration = card(path, KNOWN).split("## Measured in training")[1].split("## Calibration")
    assert "| psnr | 31.26 |\n\nMeans over 8 fixed tiles of meadow.\n" in training
    assert "curve/" not in training
    assert "| 25% | 30.00 | 0.300 |\n| 100% | 30.25 | 0.050 |\n\nMeans over 3 centres of meadow.\n" in calibration
    assert "2 pixels are cropped at each border." in calibration


def test_a_file_without_a_protocol_is_said_to_state_none(tmp_path: Path) -> None:
    assert "| shares | 0.5, 0.25, 0.25 |\n\nThe file does not state how.\n" in card(
        write(tmp_path, Provenance()), KNOWN
    )


def test_figures_of_a_report_stand_above_its_protocol(tmp_path: Path) -> None:
    report = document(1)
    text = card(write(tmp_path, Provenance()), KNOWN, report)
    section = text.split("## Evaluated on birds")[1].split("## Use")[0]
    assert "| routed | 27.38 | 28.88 | 0.8000 | +1.38 |" in section
    assert table.protocol(report) in section
