"""How fast each branch alone is, in every runtime, on windows of one, two and four rows and columns of tiles.

    python benchmarks/branches.py WEIGHTS

It bounds what routing can reach: no plan of tiles makes a branch faster than this. As many threads call at once as the
engine of `lowvision restore` has. Prints 10^9 multiply-adds a second, the best of a few rounds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from lowvision import engines, registry, trained
from lowvision.allocator import keep_memory
from lowvision.contracts import Runtime
from lowvision.fastest import seconds_a_call
from lowvision.routing import cost

MERGED = (1, 2, 4)
IN_A_ROW = 8
"""Calls of each thread before it waits for the others."""


def main() -> None:
    keep_memory()
    known = registry.load()
    parts = trained.read(Path(sys.argv[1]), known)
    tile, threads = parts.architecture.tile, engines.callers("cpu")
    sides = [n * (tile.size - tile.overlap) + tile.overlap for n in MERGED]
    print(f"{'runtime':12} branch" + "".join(f"{f'{side}x{side}':>10}" for side in sides))
    for name, entry in known.shelves["runtimes"].items():
        runtime: Runtime = entry.thing()
        if runtime.missing():
            continue
        for k, branch in enumerate(parts.branches):
            call = runtime.prepare(branch, threads, "cpu")
            speeds = []
            for side in sides:
                x = torch.rand(1, parts.architecture.task.channels, side, side)
                work = cost.multiply_adds(branch.module(), x.shape)
                speeds.append(work / seconds_a_call(call, x, threads, IN_A_ROW) / 1e9)
            print(f"{name:12} {k:6}" + "".join(f"{speed:10.1f}" for speed in speeds), flush=True)


if __name__ == "__main__":
    main()
