"""Claims about model cards: they state what the header states, and are valid Markdown with metadata."""

from __future__ import annotations

from pathlib import Path

import tiny
import torch
import yaml

from lowvision import multiply_adds
from lowvision.commands.card import card
from lowvision.models import weights
from lowvision.models.weights_header import Provenance
from lowvision.plugins import registry

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
    assert "| task | sr: scale 2, channels 3" in body
    assert "lowvision restore photo.png -m acme-x2.safetensors" in body


def test_a_card_omits_what_the_header_does_not_state(tmp_path: Path) -> None:
    text = card(write(tmp_path, Provenance()), KNOWN)
    assert "license:" not in text
    assert "| licence | not stated |" in text
    assert "The file states no purpose and no training data." in text
