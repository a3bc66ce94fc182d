"""Measure what routing saves on one image: its seconds beside those of the base on the whole image."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from lowvision.commands.restore_request import RestoreOptions
from lowvision.errors import LowvisionError
from lowvision.evaluation.whole import restore_whole
from lowvision.imaging import io
from lowvision.imaging.io import Pixels
from lowvision.inference import engines
from lowvision.inference.restorer import Restorer
from lowvision.routing.tiling import suiting
from lowvision.system import devices
from lowvision.system.progress import Progress

ROUNDS = 2
"""Alternating rounds, of which the quickest counts: the first one also warms up."""


@dataclass(frozen=True)
class Comparison:
    """Seconds from the decoded image to the restored pixels."""

    routed: float
    whole: float
    """Seconds of the base on the whole image."""


def compare(source: Path, network: Restorer, options: RestoreOptions, progress: Progress) -> Comparison:
    """Measure both ways to restore an image file. Raises LowvisionError if memory does not suffice."""
    image = io.read(source, options.largest).pixels
    check_memory(network, *image.shape[:2])
    routed = whole = math.inf
    for _ in range(ROUNDS):
        restored = network.restore(
            image,
            budget=options.budget,
            max_loss=options.max_loss,
            speed=options.speed,
            worst=options.worst,
            progress=progress.move,
        )
        routed = min(routed, restored.seconds)
        progress.move(0, 1)  # a whole image cannot be stopped
        began = time.perf_counter()
        by_base(network, image)
        whole = min(whole, time.perf_counter() - began)
    return Comparison(routed, whole)


def by_base(network: Restorer, image: Pixels) -> Pixels:
    """Restore an image (H,W,C) by the base, as a whole; alpha is left out."""
    task, backbone = network.architecture.task, network.architecture.branches[-1]
    colour = io.to_tensor(image)[:3]
    lq = suiting(colour.expand(task.channels, -1, -1), backbone.multiple_of).to(network.device)
    with torch.inference_mode():
        restored = restore_whole(network.base_alone(), lq, task.scale, backbone.reach(task), backbone.multiple_of)
        restored = restored[:, : task.scale * image.shape[0], : task.scale * image.shape[1]]
        if len(colour) < task.channels:
            restored = restored.mean(dim=0, keepdim=True)
        pixels = io.to_pixels(restored.cpu(), image.dtype)
    devices.synchronize(network.device)
    return pixels


def check_memory(network: Restorer, height: int, width: int) -> None:
    """Raise LowvisionError if the base would need more memory for a whole image than is free."""
    needed = engines.base_bytes(network.architecture, height, width)
    free = devices.free_memory(network.device)
    if needed > free:
        raise LowvisionError(
            f"the whole image needs about {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free; take a smaller one"
        )
