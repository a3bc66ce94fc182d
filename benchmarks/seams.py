"""Effect of merging tiles into windows on routed images: visibility of borders, and gain by context.

    python benchmarks/seams.py WEIGHTS PHOTOS

Restores the photographs of a folder (longer side 2048, degraded by the task of the weights) with the engine of
`lowvision restore`. A step is the absolute difference of two neighbouring pixels in a row. Prints per photograph the
mean step across seams between tiles of *different* branches, divided by the mean step in the same rows a few pixels to
the left and right: for the routed image, and for two images without seams, the base on the whole image and the
original. Then PSNR on RGB: of the routed image, and of an image with the same routes whose tiles are restored
separately, as in training and in the paper.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lowvision.data import photographs
from lowvision.evaluation.seams import between_branches, excess
from lowvision.imaging import io
from lowvision.imaging.metrics import psnrs
from lowvision.inference import engines, trained_networks
from lowvision.models import pretrained
from lowvision.plugins import registry
from lowvision.plugins.folder_dataset import Folder


def main() -> None:
    path, folder = sys.argv[1:]
    known = registry.load()
    parts = trained_networks.read(pretrained.find(Path(path), known), known)
    task = parts.architecture.task
    engine = engines.build(parts, engines.runtime_named("torch", parts, known, "cpu"), "cpu")
    alone = replace(engine, geometry=engine.geometry.alone)
    base = parts.branches[-1].module()
    measurements: list[Sequence[float]] = []
    for number, photograph in enumerate(photographs.load(Folder(path=folder, longer_side=2048), task)):
        lq = photographs.lq_of(photograph, task, number)
        restored, gt = engine.route(lq), io.to_tensor(photograph.gt)
        borders = between_branches(restored.tiling, restored.choice, task.scale)
        with torch.inference_mode():
            whole = base(lq[None])[0]
        steps = [excess(image, borders) for image in (restored.image, whole, gt)]
        tiles = alone.restore(lq, restored.choice).image
        decibels = [psnrs(image, gt, task.scale)[f"psnr_rgb@crop{task.scale}"] for image in (restored.image, tiles)]
        measurements.append([*steps, *decibels])
        print(f"{photograph.name:45} {formatted(measurements[-1])}", flush=True)
    print(f"{'mean':45} {formatted(np.mean(measurements, axis=0))}")


def formatted(ratios: Sequence[float]) -> str:
    names = ("steps: routed", "base", "original", "dB: routed", "tiles alone")
    return "  ".join(f"{name} {ratio:.3f}" for name, ratio in zip(names, ratios, strict=True))


if __name__ == "__main__":
    main()
