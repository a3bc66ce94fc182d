"""Claims about the shipped weights: complete, small, described, and useful."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import lowvision
from lowvision.imaging import io, metrics
from lowvision.imaging.resize import resize
from lowvision.models import calibration, pretrained, weights
from lowvision.plugins import registry
from lowvision.recipe import reading, shipped

KNOWN = registry.load()
CARRIED = {name: entry.component().path() for name, entry in KNOWN["weights"].items()}
RECIPES = {
    "sr-disp-x4": "zoo/sr_disp_x4",
    "sr-carn-x4": "zoo/sr_carn_x4",
    "sr-fsrcnn-x4": "zoo/sr_fsrcnn_x4",
    "denoise-disp": "zoo/denoise_disp",
    "denoise-dncnn": "zoo/denoise_dncnn",
}


def test_the_shipped_weights_are_small() -> None:
    assert sum(path.stat().st_size for path in CARRIED.values()) < 25e6


def test_all_shipped_weights_have_a_recipe() -> None:
    assert CARRIED.keys() == RECIPES.keys()


@pytest.mark.parametrize("name", CARRIED)
def test_the_header_states_everything_without_local_paths(name: str) -> None:
    header = weights.read_header(CARRIED[name], KNOWN)
    assert header.provenance.license == "Apache-2.0"
    assert "photographs" in header.provenance.about
    curve = calibration.read(header.measured)
    assert curve is not None
    assert curve.metric.startswith("psnr_rgb@crop")
    assert min(curve.losses) < 0.02
    with safe_open(CARRIED[name], framework="pt") as file:
        raw = file.metadata()["lowvision"]
    texts = _texts(json.loads(raw))
    assert not [text for text in texts if text.startswith(("/", "~")) or "\\" in text]


@pytest.mark.parametrize("name", CARRIED)
def test_shipped_weights_match_their_recipe(name: str) -> None:
    path = shipped.recipes(KNOWN)[RECIPES[name]]
    recipe, header = reading.read(path, KNOWN, []), weights.read_header(CARRIED[name], KNOWN)
    assert header.architecture == recipe.architecture
    assert (header.provenance.about, header.provenance.license) == (recipe.about, recipe.license)


@pytest.mark.parametrize("name", CARRIED)
def test_shipped_weights_improve_a_photograph(name: str, photograph: torch.Tensor) -> None:
    task = weights.read_header(CARRIED[name], KNOWN).architecture.task
    lq = task.degrade(photograph, torch.Generator().manual_seed(0))
    network = lowvision.load(CARRIED[name], device="cpu", runtime="torch")
    restored = network.restore(lq, max_loss=0.1).image
    gain = metrics.psnr(restored[None], photograph[None]) - metrics.psnr(task.baseline(lq[None]), photograph[None])
    assert gain > (0.3 if task.scale > 1 else 5)


def test_the_default_weights_are_the_disp_container() -> None:
    assert pretrained.default(KNOWN) == CARRIED["sr-disp-x4"]


@pytest.fixture(scope="module")
def photograph() -> torch.Tensor:
    """Return a crop (3,160,160) in [0,1] of a sample test photograph."""
    photos = KNOWN.find("datasets", "samples_test").component().photos()
    whole = io.to_tensor(io.read_rgb(Path(photos[0].gt)))[:, :320, 160:480]
    return resize(whole, (160, 160)).clamp(0, 1)


def _texts(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for each in value.items() for part in each for text in _texts(part)]
        case list():
            return [text for part in value for text in _texts(part)]
    return []
