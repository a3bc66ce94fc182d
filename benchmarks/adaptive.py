"""Speed of adaptive networks (`adapt`) relative to their static graph (`forward`), alternating in one process.

    python benchmarks/adaptive.py WEIGHTS|BACKBONE [SHARES]

BACKBONE is a name, e.g. `smsr`, with default options and initial weights, for super-resolution x2. SHARES are budgets
as fractions of the static graph's multiply-adds, e.g. 0.8,0.6. Prints, for batches of tiles of the sample photographs,
milliseconds of CPU time per tile on one thread (median of several rounds, hardly affected by other load), and the speed
relative to the static graph in its faster memory format.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from lowvision import multiply_adds
from lowvision.imaging import io
from lowvision.inference import trained_networks
from lowvision.plugins import registry
from lowvision.plugins.contracts import Adaptive, Task
from lowvision.plugins.registry import Registry
from lowvision.system.allocator import keep_memory

TILE = 32
BATCHES = (1, 16)
ROUNDS = 7
AS_TRAINED = "as trained"


def main() -> None:
    keep_memory()
    torch.set_num_threads(1)
    known, argument = registry.load(), sys.argv[1]
    shares = [float(share) for share in sys.argv[2].split(",")] if len(sys.argv) > 2 else [0.8, 0.6]
    network, task = network_of(argument, known)
    assert isinstance(network, Adaptive), f"{argument} is no adaptive network"
    lq, gt = tiles(task, known, max(BATCHES))
    dense = multiply_adds(network, (1, *lq.shape[1:]))
    settings: dict[str, Adaptive] = {AS_TRAINED: network}
    for share in shares:
        other = copy.deepcopy(network)
        other.set_budget(share, lq, gt)
        settings[f"set to {share:g}"] = other
    print(f"{argument}: {dense / 1e6:.1f} million multiply-adds a tile of {TILE}x{TILE}")
    print(f"{'':22}{'cost':>8}" + "".join(f"{f'batch {batch}':>18}" for batch in BATCHES))
    channels_last = copy.deepcopy(network).to(memory_format=torch.channels_last)
    ways: dict[str, tuple[float, Callable[[Tensor], object]]] = {
        "forward": (1.0, network),
        "forward, channels last": (1.0, channels_last),
    }
    for name, chosen in settings.items():
        ways[f"adapt, {name}"] = (chosen.adapt(lq)[1].double().mean().item() / dense, chosen.adapt)
    taken = [seconds_a_tile([way for _, way in ways.values()], lq[:batch]) for batch in BATCHES]
    for n, (name, (cost, _)) in enumerate(ways.items()):
        figures = (f"{1e3 * s[n]:8.2f} ms {min(s[:2]) / s[n]:5.2f}x" for s in taken)
        print(f"{name:22}{cost:>8.1%}" + "".join(f"{figure:>18}" for figure in figures))


def network_of(argument: str, known: Registry) -> tuple[nn.Module, Task]:
    """Return the network of a weights file, or a newly built one."""
    if Path(argument).exists():
        parts = trained_networks.read(Path(argument), known)
        return parts.branches[-1].module(), parts.architecture.task
    task = known.find("tasks", "sr").component(scale=2)
    torch.manual_seed(0)
    return known.find("backbones", argument).component().build(task).eval(), task


def tiles(task: Task, known: Registry, count: int) -> tuple[Tensor, Tensor]:
    """Return tiles (N,C,h,w) and their ground truth, distributed over the sample photographs."""
    photos = known.find("datasets", "samples_test").component().photos()
    lq, gt = [], []
    side = TILE * task.scale
    for n in range(count):
        image = io.to_tensor(io.read_rgb(photos[n % len(photos)].gt))
        _, height, width = image.shape
        top, left = (int((size - side) * (n + 0.5) / count) for size in (height, width))
        gt.append(image[:, top : top + side, left : left + side])
        lq.append(task.degrade(gt[-1], torch.Generator().manual_seed(n)))
    return torch.stack(lq), torch.stack(gt)


@torch.inference_mode()
def seconds_a_tile(functions: list[Callable[[Tensor], object]], lq: Tensor) -> list[float]:
    """Return the median seconds per tile of each way, over rounds in which all ways run in turn."""
    seconds: list[list[float]] = [[] for _ in functions]
    for turn in range(ROUNDS + 1):
        for function, own in zip(functions, seconds, strict=True):
            began = time.process_time()
            function(lq)
            if turn:  # the first round warms up
                own.append((time.process_time() - began) / len(lq))
    return [median(own) for own in seconds]


if __name__ == "__main__":
    main()
