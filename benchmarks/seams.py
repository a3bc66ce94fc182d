"""What merging tiles into windows does to routed images: whether borders show, and what context is worth.

    python benchmarks/seams.py WEIGHTS PHOTOS

restores the photographs of a folder (longer side 2048, degraded by the task of the weights) with the engine of
`lowvision restore`. A step is the absolute difference of two neighbouring pixels of one row. Prints, for each
photograph, the mean step across the middle of seams between tiles of *different* branches over the mean step in the
same rows a few pixels to the left and right, inside the tiles; of the routed image, and beside it of two that have no
seams: the base's on the whole image, and the original. Then PSNR on RGB: of the routed image, and of one with the same
choice where each tile is restored on its own, as in training and in the paper.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lowvision.data import photographs
from lowvision.imaging import io
from lowvision.imaging.metrics import psnrs
from lowvision.inference import engines, trained_networks
from lowvision.models import pretrained
from lowvision.plugins import registry
from lowvision.plugins.folder_dataset import Folder
from lowvision.routing.tiling import Plan

INSIDE = (-40, -36, -32, -28, 28, 32, 36, 40)
"""Pixels from a border: beyond the seam, not yet at the next one, and multiples of 4, since x4 leaves a pattern."""


def main() -> None:
    path, folder = sys.argv[1:]
    known = registry.load()
    parts = trained_networks.read(pretrained.find(Path(path), known), known)
    task = parts.architecture.task
    engine = engines.build(parts, engines.runtime_named("torch", parts, known, "cpu"), "cpu")
    alone = replace(engine, geometry=engine.geometry.alone)
    base = parts.branches[-1].module()
    found: list[Sequence[float]] = []
    for number, photograph in enumerate(photographs.load(Folder(path=folder, longer_side=2048), task)):
        lq = photographs.lq_of(photograph, task, number)
        restored, gt = engine.route(lq), io.to_tensor(photograph.gt)
        borders = between_branches(restored.plan, restored.choice, task.scale)
        with torch.inference_mode():
            whole = base(lq[None])[0]
        steps = [excess(image, borders) for image in (restored.image, whole, gt)]
        tiles = alone.restore(lq, restored.choice).image
        decibels = [psnrs(image, gt, task.scale)[f"psnr_rgb@crop{task.scale}"] for image in (restored.image, tiles)]
        found.append([*steps, *decibels])
        print(f"{photograph.name:45} {told(found[-1])}", flush=True)
    print(f"{'mean':45} {told(np.mean(found, axis=0))}")


def told(ratios: Sequence[float]) -> str:
    names = ("steps: routed", "base", "original", "dB: routed", "tiles alone")
    return "  ".join(f"{name} {ratio:.3f}" for name, ratio in zip(names, ratios, strict=True))


def between_branches(where: Plan, choice: Tensor, scale: int) -> Tensor:
    """Which steps (s*H,s*W-1) cross from the tile of one branch into the tile of another."""
    grid = choice.unflatten(0, (len(where.tops), len(where.lefts)))
    crossing = torch.zeros(scale * where.height, scale * where.width - 1, dtype=torch.bool)
    rows = [0, *(sum(seam) // 2 for seam in where.seams_down), where.height]
    for r in range(len(where.tops)):
        for c, seam in enumerate(where.seams_right):
            if grid[r, c] != grid[r, c + 1]:
                crossing[scale * rows[r] : scale * rows[r + 1], scale * sum(seam) // 2 - 1] = True
    return crossing


def excess(image: Tensor, borders: Tensor) -> float:
    """The mean step at borders over the mean step inside the tiles beside them, of image (C,s*H,s*W)."""
    steps = image.clamp(0, 1).diff(dim=2).abs().mean(dim=0)  # (s*H, s*W-1)
    inside = [steps[borders.roll(shift, dims=1)].mean() for shift in INSIDE]
    return float(steps[borders].mean() / torch.stack(inside).mean())


if __name__ == "__main__":
    main()
