"""Check a classifier against its contract."""

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
"""Number of tiles to fit a classifier that is not trained by stages."""


def check_classifier(
    classifier: Classifier,
    *,
    tasks: Sequence[Task] = (),
    sizes: Sequence[tuple[int, int]] = SIZES,
    half: bool = True,
    exportable: bool = True,
) -> None:
    """Check a classifier against its contract.

    tasks: tasks to build it for; by default scale 1, RGB and grey.
    sizes: height and width of supported tiles; most checks use the first.
    half: whether it supports bfloat16 and float16.
    exportable: whether it can be exported to ONNX.

    Checks: serialization of options; one logit per class, for any number of classes; reproducibility by seed;
    independence of the batch; gradients of all parameters; countable cost; safetensors; channels_last; half precision;
    export. Raises AssertionError at the first failure.
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
    """Return a classifier's network; one that is not trained by stages is fitted to noise."""

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
        networks.check_shape(at, subject.run(network, tiles), (4, classes), "return one logit per tile and class")


def _check_learning(subject: Subject) -> None:
    network = subject.stirred()
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise subject.fail("has no trainable parameters; set trained: ClassVar[bool] = False")
    logits = subject.run(network, subject.images(dtype=torch.float64))
    if (logits >= 0).all() and torch.allclose(logits.sum(dim=1), torch.ones(len(logits), dtype=logits.dtype)):
        raise subject.fail("returns probabilities; return logits, the container applies the softmax")
