"""Prepare the image to restore: a photograph cropped and resized to the requested size, and degraded by the task."""

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
"""Data set whose first photograph is the default."""


def lq(path: Path | None, size: tuple[int, int], task: Task, registry: Registry) -> Tensor:
    """Return the degraded photograph (C,height,width), nominally in [0,1], cropped in the centre to the aspect ratio.

    path: the photograph; None: a sample. size: height and width in LQ pixels. Raises DataError if it cannot be read.
    """
    rgb = io.to_tensor(io.read_rgb(path or sample(registry)))
    gt = _cropped(rgb, (size[0] * task.scale, size[1] * task.scale))
    if task.channels == 1:
        gt = luma.grey(gt)
    return task.degrade(gt.clamp_(0, 1), torch.Generator().manual_seed(0))


def sample(registry: Registry) -> Path:
    """Return a bundled sample photograph. Raises UsageError if there is none."""
    if SAMPLES not in registry["datasets"]:
        raise UsageError(f"{SAMPLES}: no plugin provides these sample photographs; give one with --image")
    return registry.find("datasets", SAMPLES).component().photos()[0].gt


def _cropped(photo: Tensor, size: tuple[int, int]) -> Tensor:
    """Crop a photograph (3,H,W) in the centre to the aspect ratio of `size`, and resize it to `size`."""
    height, width = photo.shape[1:]
    factor = min(height / size[0], width / size[1])
    crop_height, crop_width = (
        max(1, min(whole, round(side * factor))) for whole, side in zip((height, width), size, strict=True)
    )
    top, left = (height - crop_height) // 2, (width - crop_width) // 2
    return resize(photo[:, top : top + crop_height, left : left + crop_width], size)
