"""What keeping memory between layers is worth in training: seconds of a step of the base, with it and without.

    python benchmarks/train_memory.py [--network carn] [--batch 8] [--rounds 4] [--threads 1] [--precision bf16]

`lowvision run` makes the C library keep its memory (`lowvision/system/allocator.py`). A process that has done so once
cannot go back, so each round is two processes, one of each kind in turn; each takes the fastest of twenty steps. Prints
both and their ratio for every round, and the median of the ratios.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

import torch
from accelerate import Accelerator

from lowvision.plugins import registry
from lowvision.system.allocator import keep_memory
from lowvision.training.loop import update
from lowvision.training.objective import RestorationObjective
from lowvision.training.options import Fit

STEPS = 20
LQ, SCALE = 32, 4


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--network", default="carn")
    words.add_argument("--batch", type=int, default=8)
    words.add_argument("--rounds", type=int, default=4)
    words.add_argument("--threads", type=int, default=1)
    words.add_argument("--precision", default="bf16", choices=["no", "bf16"])
    words.add_argument("--once", choices=["kept", "returned"], help=argparse.SUPPRESS)
    said = words.parse_args()
    if said.once:
        print(fastest_step(said))
        return
    ratios = []
    for _ in range(said.rounds):
        returned, kept = (alone(how) for how in ("returned", "kept"))
        ratios.append(returned / kept)
        print(f"returned {returned:.3f} s  kept {kept:.3f} s  {ratios[-1]:.2f}x", flush=True)
    print(f"median {statistics.median(ratios):.2f}x")


def alone(how: str) -> float:
    """Seconds of a step in a process of its own."""
    made = subprocess.run([sys.executable, *sys.argv, "--once", how], check=True, capture_output=True, text=True)
    return float(made.stdout)


def fastest_step(said: argparse.Namespace) -> float:
    """Seconds of the fastest of some steps."""
    if said.once == "kept":
        keep_memory()
    torch.set_num_threads(said.threads)
    torch.manual_seed(0)
    known = registry.load()
    network = known.find("backbones", said.network).component().build(known.find("tasks", "sr").component(scale=SCALE))
    accelerator = Accelerator(cpu=True, mixed_precision=said.precision)
    objective = RestorationObjective(network.to(memory_format=torch.channels_last).train())
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-6)
    objective, optimizer = accelerator.prepare(objective, optimizer)
    lq, gt = (torch.rand(said.batch, 3, side, side) for side in (LQ, SCALE * LQ))
    lq, gt = (image.contiguous(memory_format=torch.channels_last) for image in (lq, gt))
    seconds = []
    for _ in range(STEPS):
        began = time.perf_counter()
        update(objective, optimizer, lq, gt, 0.0, Fit(batch=said.batch), accelerator)
        seconds.append(time.perf_counter() - began)
    return min(seconds)


if __name__ == "__main__":
    main()
