"""A checkpoint holds all that a stage needs to go on, whatever its networks share."""

from __future__ import annotations

from pathlib import Path

import torch
from accelerate import Accelerator
from timm.utils import ModelEmaV3
from torch import nn

from lowvision.training import checkpoint


class Tied(nn.Module):
    """Two layers that are one."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = self.first


def test_a_moving_average_of_layers_that_are_one_comes_back(tmp_path: Path) -> None:
    accelerator = Accelerator(cpu=True)
    average, other = ModelEmaV3(Tied()), ModelEmaV3(Tied())
    checkpoint.save(accelerator, tmp_path, 7, {"best": 1.0}, average)
    path = checkpoint.latest(tmp_path)
    assert path is not None
    assert checkpoint.restore(accelerator, path, other) == {"step": 7, "best": 1.0}
    torch.testing.assert_close(other.module.second.weight, average.module.first.weight)
