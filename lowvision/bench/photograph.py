"""The image that is restored: a photograph brought to the wanted size, and degraded as the task would."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from lowvision.errors import UsageError
from lowvision.imaging import io, luma
from lowvision.imaging.resize import resize
from lowvision.plugins.contracts import Task
from lowvision.plugins.registry import Registry

SAMPLES = "samples_test"
"""The named set whose first photograph is taken where the user gives none."""


def lq(path: Path | None, size: tuple[int, int], task: Task, registry: Registry) -> Tensor:
    """The degraded photograph (C,height,width), nominally in [0,1]; its middle, where the format is another.

    path: the photograph; None: a sample. size: height and width in LQ pixels. Raises DataError where it cannot be read.
    """
    rgb = io.to_tensor(io.read_rgb(path or sample(registry)))
    gt = _filling(rgb, (size[0] * task.scale, size[1] * task.scale))
    if task.channels == 1:
        gt = luma.grey(gt)
    return task.degrade(gt.clamp_(0, 1), torch.Generator().manual_seed(0))


def sample(registry: Registry) -> Path:
    """A photograph that an installed package carries. Raises UsageError where none does."""
    if SAMPLES not in registry["datasets"]:
        raise UsageError(f"no sample photographs: no plugin provides {SAMPLES}; give one with --image")
    return registry.find("datasets", SAMPLES).component().photos()[0].gt


def _filling(photo: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle of a photograph (3,H,W), resampled to `size`."""
    height, width = photo.shape[1:]
    factor = min(height / size[0], width / size[1])
    high, wide = (max(1, min(whole, round(side * factor))) for whole, side in zip((height, width), size, strict=True))
    top, left = (height - high) // 2, (width - wide) // 2
    return resize(photo[:, top : top + high, left : left + wide], size)
