"""Host work around the networks: ATen calls and synchronisations per tile or step, counted on the CPU.

    python benchmarks/host.py

On an accelerator every ATen call costs the host microseconds, and every synchronisation makes it wait for the queue.
Their number does not depend on the device, so the profiler can count them without one. `calls` are ATen operations
that the host starts itself, views included; `kernels` those of them that compute or copy; `waits` the operations that
read a value back, or whose output size depends on values (`item`, `nonzero`), which synchronise. Copies to the host
are not waits here, because on the CPU they do not happen.

Rows `restore` use the shipped weights with networks that return at once, so that only cutting, merging, blending and
writing remain; `classify` is their decision alone. Rows of adaptive networks count one batch of `adapt` in the middle
of their range. Rows `train` count one step of a small network.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

import lowvision
from lowvision.plugins import registry
from lowvision.plugins.contracts import Adaptive
from lowvision.training import loop, loss_sum
from lowvision.training.meter import Meter
from lowvision.training.objective import RestorationObjective, RoutedObjective
from lowvision.training.options import Fit, RoutedFit

SIZE = (270, 480)
"""Height and width of the photograph."""
BATCHES = (4, 64, 256)
TILES = 16
"""Tiles per batch of an adaptive network, and per training step."""
VIEWS = """
alias as_strided detach expand narrow permute reshape select slice split squeeze t to transpose unbind unflatten unfold
unsqueeze view flatten contiguous lift_fresh resolve_conj resolve_neg numpy_T cpu float
"""
"""Operations that normally copy nothing; if one does, the copy is a call inside it and is counted."""
WAITS = frozenset({"aten::_local_scalar_dense", "aten::nonzero", "aten::_unique2", "aten::equal"})


@dataclass(frozen=True)
class Counts:
    """Calls, kernels and synchronisations of one piece of work."""

    calls: int
    kernels: int
    waits: int
    seconds: float


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'':34} {'calls':>9} {'kernels':>9} {'waits':>9} {'us':>9}")
    for name, unit, per, counts in rows():
        figures = (counts.calls / per, counts.kernels / per, counts.waits / per, counts.seconds / per * 1e6)
        print(f"{name:34} {' '.join(f'{figure:9.1f}' for figure in figures)}  per {unit}", flush=True)


def rows() -> Iterator[tuple[str, str, int, Counts]]:
    """Yield name, unit, number of units and counts of every row."""
    for batch in BATCHES:
        yield from restoring(batch)
    for name in ("smsr", "exits", "arm"):
        yield f"adapt {name}, {TILES} tiles", "batch", 1, adapting(name)
    yield f"train one network, {TILES} tiles", "step", 1, training(single())
    yield f"train a container, {TILES} tiles", "step", 1, training(routed())


def restoring(batch: int) -> Iterator[tuple[str, str, int, Counts]]:
    """Yield the rows of restoring a photograph with at most `batch` tiles per batch."""
    network = lowvision.load("sr-carn-x4", device="cpu", runtime="torch")
    height, width = SIZE
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    engine = replace(network._engine, batch=batch, callers=1, networks=instant(network._engine.networks, network.scale))
    network = replace(network, _engine=engine)
    tiles = network.restore(pixels).tiling.count
    planes = torch.from_numpy(pixels).permute(2, 0, 1)
    yield f"classify, batch {batch}", "tile", tiles, counted(lambda: engine.decide(planes))
    yield f"restore, merged, batch {batch}", "tile", tiles, counted(lambda: network.restore(pixels))
    alone = replace(network, _engine=replace(engine, geometry=engine.geometry.alone))
    yield f"restore, tiles alone, batch {batch}", "tile", tiles, counted(lambda: alone.restore(pixels))


def instant(networks: Any, scale: int) -> Any:
    """Return the networks of an engine with branches and a classifier of one or two calls."""
    branches = len(networks.branches)

    def classify(tiles: Tensor) -> Tensor:
        return tiles[:, 0, 0, :branches]

    def branch(tiles: Tensor) -> Tensor:
        return tiles.new_zeros(*tiles.shape[:2], *(scale * side for side in tiles.shape[2:]))

    return replace(networks, classify=classify, branches=(branch,) * branches)


def adapting(name: str) -> Counts:
    """Count one batch of an untrained adaptive network at three quarters of its cost."""
    network, task = built(name)
    assert isinstance(network, Adaptive)
    lq = torch.rand(TILES, task.channels, 32, 32, generator=torch.Generator().manual_seed(0))
    gt = torch.rand(TILES, task.channels, 32 * task.scale, 32 * task.scale)
    network.eval().set_budget(0.75, lq, gt)
    return counted(torch.inference_mode()(lambda: network.adapt(lq)))


def built(name: str) -> tuple[nn.Module, Any]:
    """Build an adaptive backbone and its task."""
    known = registry.load()
    torch.manual_seed(0)
    wrapped = known.find("backbones", "srresnet").component(channels=16)
    options: dict[str, Any] = {"smsr": {"channels": 16}, "exits": {"of": wrapped}, "arm": {}}
    task = known.find("tasks", "sr").component(scale=2)
    return known.find("backbones", name).component(**options[name]).build(task), task


def training(objective: Any) -> Counts:
    """Count one step of the training loop: update and meter, without data."""
    accelerator = Accelerator(cpu=True)
    options = Fit(steps=10, batch=TILES)
    optimizer = loop.make_optimizer(list(objective.parameters()), options)
    prepared, optimizer = accelerator.prepare(objective, optimizer)
    lq, gt, meter = torch.rand(TILES, 3, 32, 32), torch.rand(TILES, 3, 32, 32), Meter()
    return counted(lambda: meter.add(loop.update(prepared, optimizer, lq, gt, 0.5, options, accelerator)))


def single() -> RestorationObjective:
    return RestorationObjective(nn.Conv2d(3, 3, 3, padding=1), loss_sum.l1())


def routed() -> RoutedObjective:
    from lowvision.routing.container import RoutedContainer

    classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    branches = [nn.Conv2d(3, 3, 3, padding=1) for _ in range(3)]
    return RoutedObjective(
        RoutedContainer(classifier, branches), RoutedFit(steps=10, batch=TILES), False, loss_sum.l1()
    )


def counted(work: Callable[[], object]) -> Counts:
    """Count the ATen calls of some work, and time it without the profiler; both after a warm-up."""
    work()
    began = time.process_time()
    work()
    seconds = time.process_time() - began
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        work()
    events = [event for event in profiler.events() if event.name.startswith("aten::")]
    calls = sum(not within_aten(event) for event in events)
    kernels = sum(is_kernel(event) for event in events)
    return Counts(calls, kernels, sum(event.name in WAITS for event in events), seconds)


def within_aten(event: Any) -> bool:
    return event.cpu_parent is not None and event.cpu_parent.name.startswith("aten::")


def is_kernel(event: Any) -> bool:
    """Return True for an operation that contains no other and is neither a view nor an allocation."""
    contains_others = any(child.name.startswith("aten::") and not is_free(child.name) for child in event.cpu_children)
    return not is_free(event.name) and not contains_others


def is_free(name: str) -> bool:
    name = name.removeprefix("aten::")
    return name in VIEWS.split() or name.startswith(
        ("empty", "resize", "set_", "result_type", "_local_scalar", "_unsafe_view")
    )


if __name__ == "__main__":
    main()
