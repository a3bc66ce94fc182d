"""Fits classifiers that need no training to tiles, by what each branch makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from lowvision.data.tiles import TileExtractor, fixed_tiles
from lowvision.imaging.metrics import psnr
from lowvision.models.architecture import Architecture
from lowvision.plugins.contracts import Classifier
from lowvision.plugins.registry import Registry
from lowvision.routing.container import Branches

TILES = 512
"""At most so many are drawn."""
AT_A_TIME = 16


@dataclass(frozen=True)
class Lesson:
    """Tiles, and what each branch reaches on them."""

    tiles: Tensor
    """(N,C,h,w) in [0,1]."""
    psnr: Tensor
    """(N,M) in dB."""


def lesson(branches: Branches, extractor: TileExtractor, seed: int, device: torch.device) -> Lesson:
    """Restore tiles, drawn once, by every branch; the branches are left on the device and in eval()."""
    lq, gt = (tiles.to(device) for tiles in fixed_tiles(extractor, TILES, seed))
    branches.to(device).eval()
    with torch.no_grad():
        reached = [
            psnr(branches.all(some).flatten(0, 1), wanted.repeat_interleave(len(branches), dim=0))
            for some, wanted in zip(lq.split(AT_A_TIME), gt.split(AT_A_TIME), strict=True)
        ]
    return Lesson(lq, torch.cat(reached).unflatten(0, (-1, len(branches))))


def fitted(classifier: Classifier, made: Architecture, learned: Lesson) -> nn.Module:
    """A network of that classifier for the container `made`, fitted; in eval(), where the tiles are."""
    network = classifier.build(made.task, len(made.branches)).to(learned.tiles.device).eval()
    classifier.fit(network, learned.tiles, learned.psnr)
    return network


def untrained(registry: Registry) -> Iterator[tuple[str, Classifier]]:
    """Every classifier that plugins provide and that needs no training, with its default options, by name."""
    for name, entry in registry["classifiers"].items():
        classifier = cast(Classifier, entry.component())
        if not classifier.trained:
            yield name, classifier
