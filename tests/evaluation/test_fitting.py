"""Claims about fitting classifiers that need no training."""

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


def test_a_lesson_tells_what_each_branch_makes_of_each_tile(extractor):
    branches = tiny.architecture().build_container().branches
    learned = fitting.lesson(branches, extractor, 0, torch.device("cpu"))
    lq, gt = fixed_tiles(extractor, fitting.TILES, 0)
    assert torch.equal(learned.tiles, lq)
    with torch.no_grad():
        for k in range(3):
            torch.testing.assert_close(learned.psnr[:, k], psnr(branches.one(lq, k), gt), rtol=0, atol=1e-3)


def test_every_classifier_without_training_is_found_and_can_be_fitted(extractor):
    made = tiny.architecture()
    learned = fitting.lesson(made.build_container().branches, extractor, 0, torch.device("cpu"))
    found = dict(fitting.untrained(registry.load()))
    assert {"high_frequency", "edge_table"} <= set(found)
    assert "class_module" not in found
    for classifier in found.values():
        assert fitting.fitted(classifier, made, learned)(learned.tiles).shape == (len(learned.tiles), 3)
