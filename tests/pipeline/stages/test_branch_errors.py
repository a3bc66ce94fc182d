"""Claims about the training of a classifier that predicts the errors of the branches."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from lowvision.data import photographs
from lowvision.data.tiles import TileExtractor
from lowvision.errors import RunError
from lowvision.models import weights
from lowvision.models.architecture import Architecture
from lowvision.pipeline.stages.branch_errors import TileErrors
from lowvision.plugins import registry
from lowvision.plugins.folder_dataset import Folder

KNOWN = registry.load()
OVERRIDES = (
    "classifier=error_predictor",
    "stages.joint=null",
    "stages.classifier={steps: 4, batch: 6, checkpoint_every: 2, valid_every: 4, log_every: 2, error_tiles: 10}",
    "stages.evaluate=null",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("errors")
    tiny.run(tiny.write_recipe(folder), folder / "run", *OVERRIDES)
    return folder


def test_the_errors_equal_those_of_the_frozen_branches(run: Path) -> None:
    with np.load(run / "run" / "classifier" / "errors.npz") as file:
        coords, errors = file["coords"], file["errors"]
    assert errors.shape == (10, 3)
    assert coords.shape == (10, 3)
    assert (errors > 0).all()
    container = weights.load_container(run / "run" / "classifier" / "last.safetensors", tiny_architecture(run), KNOWN)
    for k in range(3):
        path = run / "run" / "branches" / str(k) / "last.safetensors"
        alone = weights.load_network(path, tiny_architecture(run).only(k), KNOWN)
        for name, tensor in container.branches.networks[k].state_dict().items():
            assert torch.equal(tensor, alone.state_dict()[name])


def tiny_architecture(run: Path) -> Architecture:
    return weights.read_header(run / "run" / "classifier" / "last.safetensors", KNOWN).architecture


def test_finished_errors_are_not_measured_again(run: Path) -> None:
    log = (run / "run" / "log.txt").read_text()
    assert log.count("measures 3 branches on 10 tiles") == 1
    table = run / "run" / "classifier" / "errors.npz"
    before = table.stat().st_mtime_ns
    tiny.run(run / "tiny.yml", run / "run", *OVERRIDES)
    assert table.stat().st_mtime_ns == before


def test_errors_of_other_photographs_are_refused(run: Path, tmp_path: Path) -> None:
    again = tmp_path / "run"
    shutil.copytree(run / "run", again)
    for unfinished in ("classifier", "calibrate"):
        (again / unfinished / "done.json").unlink(missing_ok=True)
    shutil.rmtree(again / "classifier" / "checkpoints")
    table = again / "classifier" / "errors.npz"
    with np.load(table) as file:
        changed = {**file, "photographs": np.array(["another"])}
    np.savez(table, **changed)
    with pytest.raises(RunError, match=r"data\.train has changed since branches were measured on it"):
        tiny.run(run / "tiny.yml", again, *OVERRIDES)


def test_samples_depend_only_on_seed_and_number(run: Path) -> None:
    task = tiny_architecture(run).task
    loaded = photographs.load(Folder(path=str(run / "photos" / "train")), task)
    extractor = TileExtractor(loaded, task, 24)
    samples = TileErrors(extractor, 4, np.array([[0, 0, 0], [1, 3, 5]]), np.ones((2, 3)), 7)
    (lq, errors), (again, _) = samples[3], samples[3]
    assert lq.shape == (3, 16, 16)
    assert torch.equal(lq, again)
    assert errors.tolist() == [1, 1, 1]
    wide, gt = samples.pair(1)
    assert wide.shape == (3, 24, 24)
    assert gt.shape == (3, 48, 48)
