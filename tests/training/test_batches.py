"""Claims about the batches of a training stage: the share of a process, and the processes that load tiles."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import Dataset

from lowvision.errors import RunError
from lowvision.training import batches
from lowvision.training.batches import loaders
from lowvision.training.options import Fit


class Numbers(Dataset[tuple[Tensor, Tensor]]):
    """Pairs of a tile and its copy, filled with the tile's number."""

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        tile = torch.full((3, 2, 2), float(number))
        return tile, tile


def numbers_of(process: int, processes: int, first_step: int) -> list[list[int]]:
    """Return the numbers of the tiles of each step of a process."""
    accelerator = SimpleNamespace(num_processes=processes, process_index=process, device=torch.device("cpu"))
    options = Fit(steps=3, batch=4)
    pairs = batches.of_process(Numbers(), options, first_step, cast(Accelerator, accelerator), 0, None)
    return [[int(tile[0, 0, 0]) for tile in lq] for lq, _ in pairs]


def test_processes_share_the_tiles_of_every_step() -> None:
    alone, shared = numbers_of(0, 1, 0), [numbers_of(process, 2, 0) for process in (0, 1)]
    assert len(alone) == 3
    assert [sorted(first + second) for first, second in zip(*shared, strict=True)] == [sorted(step) for step in alone]


def test_a_resumed_stage_gets_the_tiles_of_its_remaining_steps() -> None:
    assert numbers_of(0, 1, 1) == numbers_of(0, 1, 0)[1:]


def test_a_batch_not_divisible_by_the_processes_is_reported() -> None:
    accelerator = cast(Accelerator, SimpleNamespace(num_processes=3, process_index=0))
    with pytest.raises(RunError, match="batch 4 cannot be split over 3 processes"):
        next(batches.of_process(Numbers(), Fit(batch=4), 0, accelerator, 0, None))


def test_data_loader_workers_of_an_accelerator_use_the_cores_of_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(device: str) -> int:
        return loaders(cast(Accelerator, SimpleNamespace(device=torch.device(device))))

    monkeypatch.setattr("lowvision.system.cores.usable", lambda: 6)
    assert (count("cpu"), count("cuda")) == (1, 5)
    monkeypatch.setattr("lowvision.system.cores.usable", lambda: 64)
    assert count("cuda") == 8
