"""Holds a classifier against its contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from lowvision.plugins.contracts import Classifier, Task
from lowvision.testing import networks, options
from lowvision.testing.subject import PlainTask, Subject

CLASSES = (2, 3, 5)
SIZES = ((32, 32), (16, 16), (48, 48))
"""Height and width of tiles."""
TILES = 64
"""To fit a classifier that stages do not train."""


def check_classifier(
    classifier: Classifier,
    *,
    tasks: Sequence[Task] = (),
    sizes: Sequence[tuple[int, int]] = SIZES,
    half: bool = True,
    exportable: bool = True,
) -> None:
    """Hold a classifier against its contract.

    tasks: what to build it for; by default scale 1, RGB and grey.
    sizes: height and width of the tiles that it must take; the other checks use the first.
    half: whether it claims to compute in bfloat16 and float16.
    exportable: whether it claims that an ONNX graph can be made of it.

    Checked are: options that can be written and read; one number a class, for any number of classes; one
    seed, one network; independence of the batch; gradients for every parameter; cost that can be counted; safetensors;
    channels_last; half precision; export. Raises AssertionError for the first thing that is wrong.
    """
    options.check_options(classifier)
    for task in tasks or (PlainTask(), PlainTask(channels=1)):
        for classes in CLASSES:
            _check_logits(_subject(classifier, task, classes, sizes[0]), classes, sizes)
    subject = _subject(classifier, tasks[0] if tasks else PlainTask(), 3, sizes[0])
    if classifier.trained:
        _check_learning(subject)
    networks.check_network(subject, half=half, exportable=exportable)


def _subject(classifier: Classifier, task: Task, classes: int, size: tuple[int, int]) -> Subject:
    """The network of a classifier; one that stages do not train is fitted to noise."""

    def fit(network: nn.Module) -> None:
        strength = torch.rand(TILES, 1, 1, 1)  # from flat tiles to rough ones
        tiles = 0.5 + strength * (torch.rand(TILES, task.channels, *size) - 0.5)
        psnr = 40 - 20 * strength.flatten(1) + torch.arange(classes) * strength.flatten(1)  # (TILES, classes)
        classifier.fit(network, tiles, psnr)

    return Subject(
        name=f"{options.name_of(classifier)} for {classes} classes, {task.channels} colours",
        make=lambda: classifier.build(task, classes),
        shape=(4, task.channels, *size),
        fit=fit,
    )


def _check_logits(subject: Subject, classes: int, sizes: Sequence[tuple[int, int]]) -> None:
    network = subject.built()
    for size in sizes:
        tiles = subject.images((4, subject.shape[1], *size))
        at = replace(subject, name=f"{subject.name}, on tiles of {tuple(tiles.shape)}")
        networks.check_shape(at, subject.run(network, tiles), (4, classes), "return a number for each tile and class")


def _check_learning(subject: Subject) -> None:
    network = subject.stirred()
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise subject.fail("has nothing to learn; set trained: ClassVar[bool] = False, and stages will not train it")
    logits = subject.run(network, subject.images(dtype=torch.float64))
    if (logits >= 0).all() and torch.allclose(logits.sum(dim=1), torch.ones(len(logits), dtype=logits.dtype)):
        raise subject.fail("gives probabilities; return logits, the container takes the softmax")
