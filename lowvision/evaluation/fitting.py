"""Fit classifiers that need no training, to tiles and the PSNR of each branch on them."""

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
"""Maximum number of tiles to fit to."""
BATCH = 16
"""Tiles per forward pass of the branches."""


@dataclass(frozen=True)
class FittingTiles:
    """Tiles, and the PSNR of each branch on them."""

    tiles: Tensor
    """(N,C,h,w) in [0,1]."""
    psnr: Tensor
    """(N,M) in dB."""


def fitting_tiles(branches: Branches, extractor: TileExtractor, seed: int, device: torch.device) -> FittingTiles:
    """Restore random tiles by every branch and measure them. Moves the branches to the device, in eval()."""
    lq, gt = (tiles.to(device) for tiles in fixed_tiles(extractor, TILES, seed))
    branches.to(device).eval()
    with torch.no_grad():
        measured = [
            psnr(branches.all(lq_part).flatten(0, 1), gt_part.repeat_interleave(len(branches), dim=0))
            for lq_part, gt_part in zip(lq.split(BATCH), gt.split(BATCH), strict=True)
        ]
    return FittingTiles(lq, torch.cat(measured).unflatten(0, (-1, len(branches))))


def fitted(classifier: Classifier, architecture: Architecture, fitting: FittingTiles) -> nn.Module:
    """Build the network of a classifier for a container, and fit it; returned in eval(), on the device of the tiles."""
    network = classifier.build(architecture.task, len(architecture.branches)).to(fitting.tiles.device).eval()
    classifier.fit(network, fitting.tiles, fitting.psnr)
    return network


def untrained(registry: Registry) -> Iterator[tuple[str, Classifier]]:
    """Yield every classifier of the plugins that needs no training: its name, and itself with default options."""
    for name, entry in registry["classifiers"].items():
        classifier = cast(Classifier, entry.component())
        if not classifier.trained:
            yield name, classifier
