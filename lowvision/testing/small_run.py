"""A run of seconds for checks: random photographs, the smallest networks, and an interruption."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import torch
from torch import Tensor, nn

from lowvision.imaging import io
from lowvision.plugins import registry
from lowvision.plugins.contracts import Backbone, Classifier, Task
from lowvision.plugins.losses import Loss
from lowvision.testing.registration import registered
from lowvision.testing.subject import PlainTask
from lowvision.training import checkpoint

NAME = "component_under_test"
FIT = {"steps": 4, "batch": 2, "checkpoint_every": 2, "valid_every": 2, "log_every": 1}
SPLITS = ("train", "valid", "test")


class SmallBackbone(Backbone):
    """One convolution and a pixel shuffle."""

    channels: int = 4
    """Feature channels."""

    def build(self, task: Task) -> nn.Module:
        first = nn.Conv2d(task.channels, self.channels, 3, padding=1)
        last = nn.Conv2d(self.channels, task.channels * task.scale**2, 1)
        return nn.Sequential(first, nn.ReLU(), last, nn.PixelShuffle(task.scale))

    def reach(self, task: Task) -> int:
        return 1


class CountingLoss(Loss):
    """L1 that counts its calls."""

    calls: ClassVar[list[None]] = []

    def build(self, task: Task) -> nn.Module:
        return CountingL1()


class CountingL1(nn.Module):
    """The module of `CountingLoss`."""

    def forward(self, restored: Tensor, gt: Tensor) -> Tensor:
        CountingLoss.calls.append(None)
        return (restored - gt).abs().mean()


class SmallClassifier(Classifier):
    """The mean colour and a linear layer."""

    def build(self, task: Task, classes: int) -> nn.Module:
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(task.channels, classes))


class Interrupted(BaseException):
    """Raised where the process would be killed."""


@contextmanager
def components(**under_test: type) -> Iterator[registry.Registry]:
    """Yield the installed components, those of the small recipe, and one under test by its kind, all called NAME."""
    networks = {"backbones": SmallBackbone, "classifiers": SmallClassifier}
    small = {"tasks": PlainTask, "losses": CountingLoss, **networks}
    with registered({kind: {NAME: component} for kind, component in {**small, **under_test}.items()}) as known:
        yield known


def recipe(folder: Path) -> dict[str, Any]:
    """Write two photographs into a folder, and return a recipe of two branches on them, without stages."""
    generator = torch.Generator().manual_seed(0)
    (folder / "photographs").mkdir()
    for number in range(2):
        pixels = torch.randint(0, 256, (48, 48, 3), generator=generator, dtype=torch.uint8)
        io.write(folder / "photographs" / f"{number}.png", io.Image(pixels.numpy()))
    photographs = {"folder": {"path": str(folder / "photographs")}}
    return {
        "task": {NAME: {"scale": 2}},
        "branches": [{NAME: {"channels": 2}}, {NAME: {"channels": 4}}],
        "classifier": NAME,
        "tile": {"size": 8, "overlap": 0},
        "data": {**dict.fromkeys(SPLITS, photographs), "augment": [], "valid_tiles": 2, "workers": 0},
    }


@contextmanager
def interrupted(stage: str, folder: Path) -> Iterator[None]:
    """End a run in this folder as soon as a stage has written its first checkpoint."""

    def save(accelerator: Any, place: Path, *others: Any, original: Callable[..., None] = checkpoint.save) -> None:
        original(accelerator, place, *others)
        if place.is_relative_to(folder / stage):
            raise Interrupted

    with mock.patch.object(checkpoint, "save", save):
        try:
            yield
        except Interrupted:
            return
