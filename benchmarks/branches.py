"""Speed of each branch alone, in every runtime and precision, on windows of one, two and four rows of tiles.

    python benchmarks/branches.py WEIGHTS

This is an upper bound for routing: no plan of tiles makes a branch faster. The number of concurrent threads is that of
`lowvision restore`. Prints 10^9 multiply-adds per second, best of several rounds: of the network as trained, and after
a slash of the network with a folded tail (`lowvision/inference/folding.py`), as used for restoring.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch
from pydantic import ValidationError

from lowvision.inference import engines, trained_networks
from lowvision.inference.autotune import seconds_a_call
from lowvision.models import pretrained
from lowvision.plugins import registry
from lowvision.plugins.contracts import Precision, Runtime
from lowvision.plugins.registry import Registry
from lowvision.routing import cost
from lowvision.system import devices
from lowvision.system.allocator import keep_memory

MERGED = (1, 2, 4)
IN_A_ROW = 8
"""Calls per thread between synchronisations."""


def main() -> None:
    keep_memory()
    known = registry.load()
    parts = trained_networks.read(pretrained.find(Path(sys.argv[1]), known), known)
    tile, threads = parts.architecture.tile, engines.callers("cpu")
    sides = [n * (tile.size - tile.overlap) + tile.overlap for n in MERGED]
    print(f"{'runtime':12} precision  branch" + "".join(f"{f'{side}x{side}':>14}" for side in sides))
    for name, precision, runtime in _runtimes(known):
        for k, branch in enumerate(parts.branches):
            calls = [runtime.prepare(form, threads, "cpu") for form in (branch.unfolded(), branch)]
            cells = []
            for side in sides:
                x = torch.rand(1, parts.architecture.task.channels, side, side)
                work = cost.multiply_adds(branch.module(), x.shape)
                speeds = [work / seconds_a_call(call, x, threads, IN_A_ROW) / 1e9 for call in calls]
                cells.append(" / ".join(f"{speed:.1f}" for speed in speeds))
            print(f"{name:12} {precision:9}  {k:6}" + "".join(f"{cell:>14}" for cell in cells), flush=True)


def _runtimes(known: Registry) -> Iterator[tuple[str, Precision, Runtime]]:
    """Yield the usable runtimes, in every precision that they and the CPU support."""
    precisions: tuple[Precision, ...] = ("f32", "bf16") if devices.multiplies_bf16() else ("f32",)
    for name, entry in known["runtimes"].items():
        for precision in precisions:
            with suppress(ValidationError):  # a runtime may support only one
                runtime: Runtime = entry.component(precision=precision)
                if not runtime.missing():
                    yield name, precision, runtime


if __name__ == "__main__":
    main()
