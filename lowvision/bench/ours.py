"""Restore methods of lowvision's engine: the base on tiles, and routed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from lowvision.bench import shares
from lowvision.bench.dissection import BranchCalls, recorded, without_work
from lowvision.bench.job import Facts, Job, Method, Tiles
from lowvision.inference import engines
from lowvision.routing.engine import Engine, Routes
from lowvision.system import devices
from lowvision.system.allocator import keep_memory

SIZES = (1, 2, 4, 8)
"""Tile sizes to try for the base, as multiples of the trained tile."""
BATCHES = (1, 4, 16)
"""Batch sizes to try for the base, in trained tiles of the same number of pixels."""
RETRY_FACTOR = 1.5
"""Candidates slower than this multiple of the fastest time are not timed again."""


def tiled(job: Job) -> Method:
    """Prepare the base alone, on tiles."""
    _keep_memory(job)
    engine = _of_base(job)
    if job.tiles:
        engine = replace(engine, size=job.tiles.size, batch=job.tiles.batch)
    routes = engine.given(job.image, 0)
    facts = {"tile": engine.size, "batch": engine.batch}
    return Method(lambda: engine.restored(job.image, routes).image, cost=lambda: routes.cost, facts=lambda: facts)


def search(job: Job) -> Method:
    """Prepare a search for the tiles with which `tiled` is fastest, by timing each on the image."""
    _keep_memory(job)
    engine = _of_base(job)
    seconds: dict[Tiles, float] = {}

    def run() -> None:
        for tiles in _candidates(job):
            candidate = replace(engine, size=tiles.size, batch=tiles.batch)
            once = partial(candidate.restored, job.image, candidate.given(job.image, 0))
            seconds[tiles] = _timed(once, job.device)
            if seconds[tiles] < RETRY_FACTOR * min(seconds.values()):  # the first run compiled and allocated memory
                seconds[tiles] = min(seconds[tiles], _timed(once, job.device))

    def facts() -> Facts:
        best = min(seconds, key=lambda tiles: seconds[tiles])
        return {"tile": best.size, "batch": best.batch}

    return Method(run, cost=lambda: 0, facts=facts)


def routed(job: Job) -> Method:
    """Prepare routed restoring. With fixed shares the classifier still runs, because its cost belongs to routing."""
    _keep_memory(job)
    engine, image, forced = engines.build(job.routable(), job.runtime, job.device), job.image, job.choice()
    calls = BranchCalls(engine.callers, job.device)
    timed = replace(engine, networks=recorded(engine.networks, calls))
    empty = replace(engine, networks=without_work(engine.networks, calls))
    fixed = None if forced is None else engine.given(image, forced)
    last: list[Routes] = []

    def restored(by: Engine) -> Tensor:
        decided = by.decide(image)
        last[:] = [fixed or decided]
        return by.restored(image, last[0]).image

    def run() -> Tensor:
        calls.begin()
        return restored(timed)

    def classifying() -> int:
        tile = (image.shape[0], engine.size, engine.size)
        return last[0].tiling.count * engine.networks.classifier_cost(tile)

    def cost() -> int:
        return last[0].cost + (classifying() if fixed else 0)

    def facts() -> Facts:
        return {
            "shares": shares.of(last[0].choice, len(engine.networks.branches)),
            "branch_gmac": (cost() - classifying()) / 1e9,
            "branch_seconds": calls.seconds,
            "decide_seconds": _timed(lambda: engine.decide(image), job.device),
            "overhead_seconds": _timed(lambda: restored(empty), job.device),
        }

    return Method(run, cost, facts)


def _of_base(job: Job) -> Engine:
    """Build an engine with the base alone, without merging tiles."""
    parts, architecture = job.parts, job.parts.architecture
    header = parts.header.replace(architecture=architecture.only(-1), kind="backbone")
    alone = replace(parts, header=header, branches=parts.branches[-1:], classifier=None)
    engine = engines.build(alone, job.runtime, job.device)
    return replace(engine, geometry=engine.geometry.alone)


def _candidates(job: Job) -> list[Tiles]:
    """Return the tiles to try for the tiled base; only the trained tile if the base sees its whole input."""
    architecture, shorter = job.parts.architecture, min(job.image.shape[1:])
    bounded = architecture.branches[-1].reach(architecture.task) is not None
    trained = architecture.tile.size
    sizes = [n for n in SIZES if n == 1 or (bounded and n * trained <= shorter)]
    return list(dict.fromkeys(Tiles(n * trained, max(1, batch // n**2)) for n in sizes for batch in BATCHES))


def _keep_memory(job: Job) -> None:
    if job.device == "cpu":
        keep_memory()


def _timed(run: Callable[[], Any], device: str) -> float:
    devices.synchronize(device)
    began = time.perf_counter()
    run()
    devices.synchronize(device)
    return time.perf_counter() - began
