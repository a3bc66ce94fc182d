"""Quality and cost of the overlap of tiles, of merging tiles, and of additional context around them.

    python benchmarks/overlap.py WEIGHTS PHOTOS [--longer-side 2048] [--overlaps 4 3 2] [--halos 0]

Restores the photographs of a folder (resized to the longer side, 0: original size; degraded by the task of the weights)
by PyTorch, in bfloat16 if the CPU supports it. Tiles are merged into windows as by `lowvision restore`, for every
overlap and every halo of additional context pixels; the first row uses the largest overlap without merging, as in the
paper. Prints means over photographs: PSNR on RGB without `scale` border pixels, and the exact cost as a fraction of the
base on the whole image; for the base on every tile, for the classifier's own choice, and within budgets.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from lowvision.data import photographs
from lowvision.imaging import io
from lowvision.imaging.metrics import psnrs
from lowvision.inference import engines, trained_networks
from lowvision.models import pretrained
from lowvision.plugins import registry
from lowvision.plugins.folder_dataset import Folder
from lowvision.routing.engine import Engine
from lowvision.system import devices

BUDGETS = (0.85, 0.75, 0.65)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("photos")
    parser.add_argument("--longer-side", type=int, default=2048)
    parser.add_argument("--overlaps", type=int, nargs="+", default=[4, 3, 2])
    parser.add_argument("--halos", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    known = registry.load()
    parts = trained_networks.read(pretrained.find(arguments.weights, known), known)
    task = parts.architecture.task
    runtime = engines.runtime_named("torch", parts, known, "cpu", "bf16" if devices.multiplies_bf16() else "f32")
    built = engines.build(parts, runtime, "cpu")
    first = max(arguments.overlaps)
    ways = {f"{first}, alone": replace(built, overlap=first, geometry=built.geometry.alone)}
    for halo in arguments.halos:
        geometry = replace(built.geometry, halo=halo)
        name = f"halo {halo}" if halo else "merged"
        ways |= {f"{o}, {name}": replace(built, overlap=o, geometry=geometry) for o in arguments.overlaps}
    results: dict[str, list[list[tuple[float, float]]]] = {way: [] for way in ways}
    folder = Folder(path=arguments.photos, longer_side=arguments.longer_side or None)
    for number, photograph in enumerate(photographs.load(folder, task)):
        lq, gt = photographs.lq_of(photograph, task, number), io.to_tensor(photograph.gt)
        whole = engines.base_cost(parts.architecture, *lq.shape[1:])
        for way, engine in ways.items():
            results[way].append(measured(engine, lq, gt, whole))
        print(f"{photograph.name} done", file=sys.stderr, flush=True)
    print(f"{'overlap':10}", *(f"{name:>14}" for name in ("base", "as trained", *(f"at {b:.0%}" for b in BUDGETS))))
    for way, of_all in results.items():
        print(f"{way:10}", *(f"{decibels:7.3f} {share:6.1%}" for decibels, share in np.mean(of_all, axis=0)))


def measured(engine: Engine, lq: Tensor, gt: Tensor, whole: int) -> list[tuple[float, float]]:
    """Return PSNR and cost (fraction of the base on the whole image): of the base, as trained, within the budgets."""
    base = engine.restore(lq, len(engine.networks.branches) - 1)
    routed = [engine.route(lq), *(engine.route(lq, int(budget * whole)) for budget in BUDGETS)]
    name = f"psnr_rgb@crop{engine.scale}"
    return [(psnrs(restored.image, gt, engine.scale)[name], restored.cost / whole) for restored in (base, *routed)]


if __name__ == "__main__":
    main()
