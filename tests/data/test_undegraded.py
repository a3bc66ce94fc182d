"""Random degradations on the device that trains give the tiles that workers give, in any batch."""

from __future__ import annotations

import dataclasses

import pytest
import tiny
import torch
from torch.utils.data import DataLoader

from lowvision.data import augment, photographs
from lowvision.data.tiles import Grid, Samples, TileExtractor
from lowvision.data.undegraded import Undegraded, degraded
from lowvision.plugins import registry
from lowvision.plugins.choice import choose
from lowvision.plugins.contracts import Task
from lowvision.plugins.folder_dataset import Folder

CHAIN = {"chain": {"scale": 2, "of": ({"blur": {"radius": (0.3, 2.0)}}, "noise"), "context": 4}}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    folder = tmp_path_factory.mktemp("undegraded")
    tiny.write_photographs(folder)
    task = choose("tasks", CHAIN, registry.load())
    assert isinstance(task, Task)
    loaded = photographs.load(Folder(path=str(folder / "train")), task)
    grid = Grid(loaded, 12, stride=1)
    return Samples(TileExtractor(loaded, task, 12), grid, augment.build(("D4",)), 0, "base", defers=False)


@pytest.mark.parametrize("batch", [1, 3])
def test_tiles_are_those_of_workers_whatever_their_batch(samples: Samples, batch: int) -> None:
    deferred = dataclasses.replace(samples, defers=True)
    tiles = next(iter(DataLoader(deferred, batch_sampler=[range(4, 4 + batch)])))  # type: ignore[arg-type]  # a range
    assert isinstance(tiles, Undegraded)
    assert tiles.clean.shape == (batch, 3, 40, 40)
    lq, gt = degraded(tiles, samples.extractor.task)
    expected = [samples[number] for number in range(4, 4 + batch)]
    assert torch.equal(lq, torch.stack([pair[0] for pair in expected]))
    assert torch.equal(gt, torch.stack([pair[1] for pair in expected]))
