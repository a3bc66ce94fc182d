"""One GPU in ten minutes: what it waits for while restoring, evaluating, adapting and training.

    python benchmarks/gpu.py [--device cuda] [--photographs 5] [--size 1920x1080]

Prints one JSON line per figure, with a time limit per part, so that a short loan gives all of them:

- `restore`: seconds and share of the time in which a kernel runs (profiler), by tiles per batch and precision;
- `memory`: peak memory of an evaluation with all branches, and seconds of the first against the second image of a size;
- `adapt`: seconds of SMSR's `adapt` against `forward`, by tiles per batch;
- `train`: steps per second of CARN with and without cuDNN's search, in float32 and bfloat16.

It runs on the CPU, too, with `--device cpu --size 96x64 --photographs 1`, as a test of itself.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch.profiler import ProfilerActivity, profile

import lowvision
from lowvision.plugins import registry
from lowvision.plugins.contracts import Adaptive
from lowvision.system import accelerators, devices
from lowvision.training import loop, loss_sum
from lowvision.training.objective import RestorationObjective
from lowvision.training.options import Fit

BATCHES = (4, 64, 256, 1024)
ADAPTED = (4, 64, 512)
STEPS = 50
KNOWN = registry.load()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--photographs", type=int, default=5)
    parser.add_argument("--size", default="1920x1080")
    options = parser.parse_args()
    device, (width, height) = devices.resolve(options.device), map(int, options.size.split("x"))
    name = devices.accelerator_name(device) or devices.cpu_name()
    print(json.dumps({"device": name, "torch": torch.__version__, "size": options.size}), flush=True)
    photographs = np.random.default_rng(0).integers(0, 256, (options.photographs, height, width, 3), np.uint8)
    for part in (restoring(device, photographs), memory(device, photographs[0]), adapting(device), training(device)):
        with contextlib.suppress(StopIteration):
            for figure in guarded(part):
                print(json.dumps(figure), flush=True)


def guarded(part: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the figures of a part; an error becomes a figure, so that the other parts still run."""
    try:
        yield from part
    except Exception as error:
        yield {"failed": f"{type(error).__name__}: {error}"}


def restoring(device: str, photographs: np.ndarray) -> Iterator[dict[str, Any]]:
    precisions = ("f32",) if device == "cpu" else ("f32", "bf16", "f16")
    for precision in precisions:
        for batch in (*BATCHES, None):
            choice = {"torch": {"batch": batch, "precision": precision}}
            network = lowvision.load("sr-carn-x4", device=device, runtime=choice)
            network.restore(photographs[0])  # plans and allocations
            seconds = timed(lambda: [network.restore(photo) for photo in photographs], device)  # noqa: B023  # at once
            busy = busy_share(lambda: network.restore(photographs[0]), device)  # noqa: B023  # at once
            size = network._engine.batch
            yield {
                "part": "restore",
                "precision": precision,
                "batch": size,
                "default": batch is None,
                "seconds_per_image": seconds / len(photographs),
                "busy": busy,
            }


def memory(device: str, photograph: np.ndarray) -> Iterator[dict[str, Any]]:
    network = lowvision.load("sr-carn-x4", device=device, runtime="torch")
    for branch in range(len(network.architecture.branches)):
        if device != "cpu":
            torch.cuda.reset_peak_memory_stats()
        engine = network._engine
        planes = engine.on_device(torch.from_numpy(photograph).permute(2, 0, 1))
        first, second = (timed(lambda: engine.restore(planes, branch), device) for _ in range(2))  # noqa: B023
        peak = None if device == "cpu" else torch.cuda.max_memory_allocated() / 2**20
        yield {"part": "memory", "branch": branch, "peak_mib": peak, "first_seconds": first, "second_seconds": second}


def adapting(device: str) -> Iterator[dict[str, Any]]:
    torch.manual_seed(0)
    task = KNOWN.find("tasks", "sr").component(scale=2)
    module: torch.nn.Module = KNOWN.find("backbones", "smsr").component().build(task).eval().to(device)
    network: Any = module
    assert isinstance(network, Adaptive)
    lq = torch.rand(16, 3, 32, 32, device=device)
    network.set_budget(0.75, lq, torch.rand(16, 3, 64, 64, device=device))
    for count in ADAPTED if device != "cpu" else ADAPTED[:1]:
        tiles = torch.rand(count, 3, 32, 32, device=device)
        with torch.inference_mode():
            works: list[Callable[[], Any]] = [partial(module, tiles), partial(network.adapt, tiles)]
            seconds = [timed(work, device) for work in works for _ in range(2)]  # the first of a shape plans kernels
        yield {"part": "adapt", "tiles": count, "forward_seconds": seconds[1], "adapt_seconds": seconds[3]}


def training(device: str) -> Iterator[dict[str, Any]]:
    task = KNOWN.find("tasks", "sr").component(scale=4)
    accelerator = accelerators.build(device)
    for precision in ("no", "bf16"):
        for searched in (False, True):
            torch.manual_seed(0)
            network = KNOWN.find("backbones", "carn").component().build(task)
            with devices.searched_convolutions() if searched else contextlib.nullcontext():
                speed = steps_per_second(network, accelerator, precision)
            yield {"part": "train", "precision": precision, "searched": searched, "steps_per_second": speed}


def steps_per_second(network: torch.nn.Module, accelerator: Accelerator, precision: str) -> float:
    device = accelerator.device
    network = network.to(memory_format=devices.layout(device)).to(device)
    options = Fit(steps=STEPS, batch=16)
    objective = RestorationObjective(network, loss_sum.l1())
    optimizer = accelerator.prepare(loop.make_optimizer(list(network.parameters()), options, device.type))
    lq, gt = torch.rand(16, 3, 32, 32, device=device), torch.rand(16, 3, 128, 128, device=device)
    steps = STEPS if device.type != "cpu" else 2

    def run() -> None:
        for _ in range(steps):
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                loop.update(objective, optimizer, lq, gt, 0.5, options, accelerator)

    run()
    return steps / timed(run, str(device))


def timed(work: Callable[[], object], device: str) -> float:
    devices.synchronize(device)
    began = time.perf_counter()
    work()
    devices.synchronize(device)
    return time.perf_counter() - began


def busy_share(work: Callable[[], object], device: str) -> float | None:
    """Return the share of the time in which a kernel runs on the device; None on the CPU."""
    if device == "cpu":
        return None
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        seconds = timed(work, device)
    events = [event for event in profiler.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    return sum(event.device_time_total for event in events) / 1e6 / seconds


if __name__ == "__main__":
    main()
