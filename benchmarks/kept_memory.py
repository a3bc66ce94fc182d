"""Gain of keeping freed memory: seconds of a training step of the base, or of restoring tiles, with and without.

    python benchmarks/kept_memory.py [--network carn] [--batch 8] [--rounds 4] [--threads 1] [--precision bf16]
    python benchmarks/kept_memory.py --restore --network esrt [--batch 16]

Every command that trains or restores configures the C library to keep freed memory (`lowvision/system/allocator.py`). A
process cannot revert this, so each round runs two processes, one of each kind; each reports its fastest turn.
`--restore`: float32, in a thread, as the tiles of an image are restored. Prints both and their ratio per round, and the
median of the ratios.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import torch
from accelerate import Accelerator
from torch import nn

from lowvision.plugins import registry
from lowvision.system.allocator import keep_memory
from lowvision.training import loss_sum
from lowvision.training.loop import update
from lowvision.training.objective import RestorationObjective
from lowvision.training.options import Fit

STEPS, RESTORES = 20, 3
LQ, WIDE_LQ, SCALE = 32, 64, 4
"""Sides of tiles in training and in restoring, and the scale."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="carn")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="bf16", choices=["no", "bf16"])
    parser.add_argument("--restore", action="store_true")
    parser.add_argument("--once", choices=["kept", "returned"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        print(fastest_restore(arguments) if arguments.restore else fastest_step(arguments))
        return
    ratios = []
    for _ in range(arguments.rounds):
        returned, kept = (alone(how) for how in ("returned", "kept"))
        ratios.append(returned / kept)
        print(f"returned {returned:.3f} s  kept {kept:.3f} s  {ratios[-1]:.2f}x", flush=True)
    print(f"median {statistics.median(ratios):.2f}x")


def alone(how: str) -> float:
    """Return the seconds of a step, measured in a new process."""
    process = subprocess.run([sys.executable, *sys.argv, "--once", how], check=True, capture_output=True, text=True)
    return float(process.stdout)


def built(arguments: argparse.Namespace) -> nn.Module:
    """Configure the process, and build the network."""
    if arguments.once == "kept":
        keep_memory()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    known = registry.load()
    task = known.find("tasks", "sr").component(scale=SCALE)
    network: nn.Module = known.find("backbones", arguments.network).component().build(task)
    return network.to(memory_format=torch.channels_last)


def fastest_restore(arguments: argparse.Namespace) -> float:
    """Return the seconds of the fastest of several batches in a thread."""
    network = built(arguments).eval()
    tiles = torch.rand(arguments.batch, 3, WIDE_LQ, WIDE_LQ).contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def restored() -> float:
        began = time.perf_counter()
        network(tiles)
        return time.perf_counter() - began

    with ThreadPoolExecutor(1) as thread:
        return min(thread.submit(restored).result() for _ in range(RESTORES))


def fastest_step(arguments: argparse.Namespace) -> float:
    """Return the seconds of the fastest of several steps."""
    network = built(arguments).train()
    accelerator = Accelerator(cpu=True, mixed_precision=arguments.precision)
    objective = RestorationObjective(network, loss_sum.l1())
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-6)
    objective, optimizer = accelerator.prepare(objective, optimizer)
    lq, gt = (torch.rand(arguments.batch, 3, side, side) for side in (LQ, SCALE * LQ))
    lq, gt = (image.contiguous(memory_format=torch.channels_last) for image in (lq, gt))
    seconds = []
    for _ in range(STEPS):
        began = time.perf_counter()
        update(objective, optimizer, lq, gt, 0.0, Fit(batch=arguments.batch), accelerator)
        seconds.append(time.perf_counter() - began)
    return min(seconds)


if __name__ == "__main__":
    main()
