"""Count how often calibrating a curve runs each branch over the pixels of a photograph, with and without a cache.

    python benchmarks/calibration.py WEIGHTS PHOTO... [--points 13] [--side 256]

Prints, for the centre of each photograph, the passes of each branch over its pixels: by restoring every point of the
curve on its own, and by restoring equal windows once, as the stage `calibrate` does. Branches are counted, not run.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lowvision.imaging import io
from lowvision.inference import engines, trained_networks
from lowvision.models import pretrained
from lowvision.pipeline.stages.calibrate import CANDIDATES, multipliers, spaced
from lowvision.plugins import registry
from lowvision.routing.engine import Engine
from lowvision.routing.window_cache import cached


class Counted:
    """A branch that counts its pixels and restores nothing."""

    def __init__(self, scale: int):
        self._scale = scale
        self.pixels = 0

    def __call__(self, windows: Tensor) -> Tensor:
        count, channels, height, width = windows.shape
        self.pixels += count * height * width
        return torch.zeros(count, channels, self._scale * height, self._scale * width)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--points", type=int, default=13)
    parser.add_argument("--side", type=int, default=256, help="side of the centres in LQ pixels")
    options = parser.parse_args()
    components = registry.load()
    bundle = trained_networks.read(pretrained.find(options.weights, components), components)
    engine = engines.build(bundle, engines.runtime_named("torch", bundle, components, "cpu"), "cpu")
    for photo in options.photos:
        centre = _centre(io.to_tensor(io.read_rgb(photo)), options.side)
        for label, keeps in (("each point alone", False), ("equal windows once", True)):
            passes = "  ".join(f"{count:5.2f}" for count in _passes(engine, centre, options.points, keeps))
            print(f"{photo.stem[:40]:40}  {label:18}  {passes}")


def _passes(engine: Engine, image: Tensor, points: int, keeps: bool) -> list[float]:
    """Return the passes of each branch over the pixels of the image, for the base and all points."""
    branches = [Counted(engine.scale) for _ in engine.networks.branches]
    networks = replace(engine.networks, branches=tuple(branches))
    counting = replace(engine, networks=cached(networks) if keeps else networks)
    counting.restore(image, len(branches) - 1)
    scores = counting.scores(image)
    ks = multipliers(counting.turns(image, scores), CANDIDATES * points)
    routes = [counting.chosen(image, scores, k=k) for k in ks]
    wanted = spaced(ks, np.array([each.cost for each in routes]), points)
    for k, each in zip(ks, routes, strict=True):
        if k in wanted:
            counting.restored(image, each)
    return [branch.pixels / image[0].numel() for branch in branches]


def _centre(image: Tensor, side: int) -> Tensor:
    height, width = (min(side, length) for length in image.shape[1:])
    top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
    return image[:, top : top + height, left : left + width]


if __name__ == "__main__":
    main()
