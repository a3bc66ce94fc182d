"""Tiles per second of random degradations: one by one, as workers do, and in batches on a device.

    python benchmarks/degrade.py [--tasks sr_blind real_esrgan] [--size 48] [--batch 32] [--device cpu] [--rounds 5]

`sr_blind` is the chain of that recipe, `real_esrgan` the second order of Real-ESRGAN, both at scale 4. Clean tiles have
the margin of the task around them. A worker is one thread on the CPU. Prints a table of the best round.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from lowvision.plugins import registry
from lowvision.plugins.choice import choose
from lowvision.plugins.contracts import Task
from lowvision.recipe import reading

RECIPE = Path(__file__).parents[1] / "recipes" / "sr_blind.yml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["sr_blind", "real_esrgan"])
    parser.add_argument("--size", type=int, default=48, help="side of lq in pixels")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'task':<12} {'tile by tile, cpu':>18} {'batch, ' + arguments.device:>18}   tiles per second")
    for name in arguments.tasks:
        task = task_named(name)
        side = task.scale * (arguments.size + 2 * task.margin)
        clean = torch.rand(arguments.batch, task.channels, side, side, generator=torch.Generator().manual_seed(0))
        clean = torch.nn.functional.avg_pool2d(clean, 5, 1, 2)  # JPEG is slower on noise than on photographs
        moved = clean.to(arguments.device)
        alone = rate(lambda task=task, clean=clean: one_by_one(task, clean), arguments)  # type: ignore[misc]  # now
        batch = rate(lambda task=task, moved=moved: in_batch(task, moved), arguments)  # type: ignore[misc]  # now
        print(f"{name:<12} {alone:>18.0f} {batch:>18.0f}")


def task_named(name: str) -> Task:
    """Return the task of the recipe, or the task of that name."""
    components = registry.load()
    if name == "sr_blind":
        return reading.read(RECIPE, components).task
    task = choose("tasks", name, components)
    assert isinstance(task, Task)
    return task


def one_by_one(task: Task, clean: Tensor) -> Tensor:
    return torch.stack(
        [task.degrade(tile, generator) for tile, generator in zip(clean, seeds(len(clean)), strict=True)]
    )


def in_batch(task: Task, clean: Tensor) -> Tensor:
    return task.degrade_batch(clean, seeds(len(clean)))


def seeds(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def rate(work: Callable[[], Tensor], arguments: argparse.Namespace) -> float:
    """Return the tiles per second of the fastest round, after one that warms up."""
    seconds = []
    for _ in range(arguments.rounds + 1):
        began = time.perf_counter()
        work()
        if arguments.device != "cpu":
            torch.accelerator.synchronize()
        seconds.append(time.perf_counter() - began)
    return arguments.batch / min(seconds[1:])


if __name__ == "__main__":
    main()
