"""A training of a few steps with given validation results, for the tests of observers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import Dataset

from lowvision.plugins.observers import Observer
from lowvision.training import loss_sum
from lowvision.training.log import Log
from lowvision.training.loop import TrainingSpec, fit
from lowvision.training.objective import RestorationObjective
from lowvision.training.options import Fit

OPTIONS = Fit(steps=8, batch=2, log_every=2, valid_every=2, checkpoint_every=4, schedule="constant")


class Tiles(Dataset[tuple[Tensor, Tensor]]):
    """Random tiles that depend only on their number."""

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(number)
        return torch.rand(3, 4, 4, generator=generator), torch.rand(3, 4, 4, generator=generator)


def train(folder: Path, observers: Sequence[Observer], psnrs: Sequence[float], options: Fit = OPTIONS) -> list[int]:
    """Train with these validation results, and return the steps at which weights were written."""
    values = iter(psnrs)
    network = nn.Conv2d(3, 3, 1)
    written: list[int] = []
    log = Log(folder, speaks=True, observers=observers, prints=False)

    def keep(path: Path, trained: nn.Module, metrics: Mapping[str, Any]) -> None:
        written.append(1)

    spec = TrainingSpec(
        "base",
        RestorationObjective(network, loss_sum.l1()),
        network,
        lambda network: {"psnr": next(values)},
        keep,
        pictures=lambda network: {"restored": network(torch.zeros(1, 3, 4, 4))},
    )
    fit(spec, Tiles(), options, Accelerator(cpu=True), folder / "base", log)
    return written


def steps_of(folder: Path) -> list[int]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return sorted({json.loads(line)["step"] for line in lines})
