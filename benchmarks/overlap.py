"""How far tiles should overlap, and be merged: what is lost, and what it costs.

    python benchmarks/overlap.py WEIGHTS PHOTOS [LONGER_SIDE]

restores the photographs of a folder (longer side 2048 unless told, degraded by the task of the weights) by PyTorch, in
bfloat16 where the CPU has instructions for it, with tiles that overlap by 4, 3 and 2 pixels: each on its own, as in
the paper, and merged as `lowvision restore` does. Prints means over photographs: PSNR on RGB, the scale cut off at each
border, and the exact cost as a share of the base on the whole image; of the base on every tile, of what the classifier
chooses by itself, and of what it chooses within 75 % of the base's cost.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from torch import Tensor

from lowvision import devices, engines, images, registry, trained, zoo
from lowvision.folders import Folder
from lowvision.metrics import psnrs
from lowvision.routing.engine import Engine
from lowvision.training import photographs

OVERLAPS = (4, 3, 2)
BUDGET = 0.75


def main() -> None:
    path, folder = sys.argv[1:3]
    longer_side = int(sys.argv[3]) if len(sys.argv) > 3 else 2048
    known = registry.load()
    parts = trained.read(zoo.find(Path(path), known), known)
    task = parts.architecture.task
    runtime = engines.runtime_named("torch", parts, known, "cpu", "bf16" if devices.multiplies_bf16() else "f32")
    built = engines.build(parts, runtime, "cpu")
    ways = {
        (overlap, merged): replace(built, overlap=overlap, geometry=built.geometry if merged else built.geometry.alone)
        for overlap, merged in product(OVERLAPS, (False, True))
    }
    found: dict[tuple[int, bool], list[list[tuple[float, float]]]] = {way: [] for way in ways}
    for number, photograph in enumerate(photographs.load(Folder(path=folder, longer_side=longer_side), task)):
        lq, gt = photographs.lq_of(photograph, task, number), images.to_tensor(photograph.gt)
        whole = engines.base_cost(parts.architecture, *lq.shape[1:])
        for way, engine in ways.items():
            found[way].append(measured(engine, lq, gt, whole))
        print(f"{photograph.name} done", file=sys.stderr, flush=True)
    print(f"{'overlap':8} {'tiles':8} {'base':>16} {'as trained':>16} {f'at {BUDGET:.0%}':>16}")
    for (overlap, merged), of_all in found.items():
        cells = " ".join(f"{decibels:9.3f} {share:5.1%}" for decibels, share in np.mean(of_all, axis=0))
        print(f"{overlap:<8} {'merged' if merged else 'alone':8} {cells}")


def measured(engine: Engine, lq: Tensor, gt: Tensor, whole: int) -> list[tuple[float, float]]:
    """PSNR, and the cost as a share of the base on the whole image: base, as trained, within the budget."""
    base = engine.restore(lq, len(engine.networks.branches) - 1)
    routed, thrifty = engine.route(lq), engine.route(lq, int(BUDGET * whole))
    name = f"psnr_rgb@crop{engine.scale}"
    return [(psnrs(made.image, gt, engine.scale)[name], made.cost / whole) for made in (base, routed, thrifty)]


if __name__ == "__main__":
    main()
