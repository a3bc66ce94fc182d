"""Holds a classifier against its contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from lowvision.contracts import Classifier, Task
from lowvision.testing import networks, options
from lowvision.testing.subject import PlainTask, Subject

CLASSES = (2, 3, 5)
SIZES = ((32, 32), (16, 16), (48, 48))
"""Height and width of tiles."""


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

    Checked are: options that can be written and read; one finite logit a class, for any number of classes; one
    seed, one network; independence of the batch; gradients for every parameter; cost that can be counted; safetensors;
    channels_last; half precision; export. Raises AssertionError for the first thing that is wrong.
    """
    options.check_options(classifier)
    for task in tasks or (PlainTask(), PlainTask(channels=1)):
        for classes in CLASSES:
            _check_logits(_subject(classifier, task, classes, sizes[0]), classes, sizes)
    subject = _subject(classifier, tasks[0] if tasks else PlainTask(), 3, sizes[0])
    networks.check_network(subject, half=half, exportable=exportable)


def _subject(classifier: Classifier, task: Task, classes: int, size: tuple[int, int]) -> Subject:
    name = f"{options.name_of(classifier)} for {classes} classes, {task.channels} colours"
    return Subject(name, lambda: classifier.build(task, classes), (4, task.channels, *size))


def _check_logits(subject: Subject, classes: int, sizes: Sequence[tuple[int, int]]) -> None:
    network = subject.built()
    for size in sizes:
        tiles = subject.images((4, subject.shape[1], *size))
        at = replace(subject, name=f"{subject.name}, on tiles of {tuple(tiles.shape)}")
        networks.check_shape(at, subject.run(network, tiles), (4, classes), "one logit a tile and class is wanted")
    logits = subject.run(subject.stirred(), subject.images(dtype=torch.float64))
    if (logits >= 0).all() and torch.allclose(logits.sum(dim=1), torch.ones(4, dtype=torch.float64)):
        raise subject.fail("gives probabilities; return logits, the container takes the softmax")
