"""Classifiers that need no training are fitted to tiles and the PSNR of each branch on them."""

from __future__ import annotations

import pytest
import tiny
import torch

from lowvision.data import photographs
from lowvision.data.tiles import TileExtractor, fixed_tiles
from lowvision.evaluation import fitting
from lowvision.imaging.metrics import psnr
from lowvision.plugins import registry
from lowvision.plugins.folder_dataset import Folder


@pytest.fixture(scope="module")
def extractor(tmp_path_factory) -> TileExtractor:
    folder = tmp_path_factory.mktemp("fitting")
    tiny.write_photographs(folder)
    task = tiny.architecture().task
    return TileExtractor(photographs.load(Folder(path=str(folder / "train")), task), task, 16)


def test_fitting_tiles_hold_the_psnr_of_each_branch_on_each_tile(extractor):
    branches = tiny.architecture().build_container().branches
    tiles = fitting.fitting_tiles(branches, extractor, 0, torch.device("cpu"))
    lq, gt = fixed_tiles(extractor, fitting.TILES, 0)
    assert torch.equal(tiles.tiles, lq)
    with torch.no_grad():
        for k in range(3):
            torch.testing.assert_close(tiles.psnr[:, k], psnr(branches.one(lq, k), gt), rtol=0, atol=1e-3)


def test_every_training_free_classifier_is_listed_and_can_be_fitted(extractor):
    architecture = tiny.architecture()
    tiles = fitting.fitting_tiles(architecture.build_container().branches, extractor, 0, torch.device("cpu"))
    untrained = dict(fitting.untrained(registry.load()))
    assert {"high_frequency", "edge_table"} <= set(untrained)
    assert "class_module" not in untrained
    for classifier in untrained.values():
        assert fitting.fitted(classifier, architecture, tiles)(tiles.tiles).shape == (len(tiles.tiles), 3)
