"""The ways to restore that our engine goes: the base on tiles, and routed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from lowvision.bench import shares
from lowvision.bench.dissection import Dissected, emptied, watched
from lowvision.bench.job import DEVICE, Facts, Job, Tiles, Way
from lowvision.inference import engines
from lowvision.routing.engine import Engine, Routes
from lowvision.system.allocator import keep_memory

SIZES = (1, 2, 4, 8)
"""Tiles for the base that are tried, as multiples of the trained tile."""
TOGETHER = (1, 4, 16)
"""Trained tiles whose pixels go through the base at a time."""
CLOSE = 1.5
"""Times the best so far: what takes longer is not tried again."""


def tiled(job: Job) -> Way:
    """The base alone, on tiles."""
    keep_memory()
    engine = _of_base(job)
    if job.tiles:
        engine = replace(engine, size=job.tiles.size, batch=job.tiles.batch)
    routes = engine.given(job.image, 0)
    facts = {"tile": engine.size, "batch": engine.batch}
    return Way(lambda: engine.restored(job.image, routes).image, cost=lambda: routes.cost, facts=lambda: facts)


def search(job: Job) -> Way:
    """No way to restore: finds the tiles with which `tiled` is fastest, by trying each on the image."""
    keep_memory()
    engine = _of_base(job)
    seconds: dict[Tiles, float] = {}

    def run() -> None:
        for tiles in _candidates(job):
            its = replace(engine, size=tiles.size, batch=tiles.batch)
            once = partial(its.restored, job.image, its.given(job.image, 0))
            seconds[tiles] = _timed(once)
            if seconds[tiles] < CLOSE * min(seconds.values()):  # the first run compiled, and took memory
                seconds[tiles] = min(seconds[tiles], _timed(once))

    def facts() -> Facts:
        best = min(seconds, key=lambda tiles: seconds[tiles])
        return {"tile": best.size, "batch": best.batch}

    return Way(run, cost=lambda: 0, facts=facts)


def routed(job: Job) -> Way:
    """Each tile by its branch. Where shares are forced the classifier is asked all the same: it is to be paid for."""
    keep_memory()
    engine, image, forced = engines.build(job.routable(), job.runtime, DEVICE), job.image, job.choice()
    calls = Dissected(engine.callers)
    seen = replace(engine, networks=watched(engine.networks, calls))
    empty = replace(engine, networks=emptied(engine.networks, calls))
    given = None if forced is None else engine.given(image, forced)
    last: list[Routes] = []

    def restored(by: Engine) -> Tensor:
        decided = by.decide(image)
        last[:] = [given or decided]
        return by.restored(image, last[0]).image

    def run() -> Tensor:
        calls.begin()
        return restored(seen)

    def classifying() -> int:
        tile = (image.shape[0], engine.size, engine.size)
        return last[0].plan.count * engine.networks.classifier_price(tile)

    def cost() -> int:
        return last[0].cost + (classifying() if given else 0)

    def facts() -> Facts:
        return {
            "shares": shares.of(last[0].choice, len(engine.networks.branches)),
            "branch_gmac": (cost() - classifying()) / 1e9,
            "branch_seconds": calls.seconds,
            "decide_seconds": _timed(lambda: engine.decide(image)),
            "overhead_seconds": _timed(lambda: restored(empty)),
        }

    return Way(run, cost, facts)


def _of_base(job: Job) -> Engine:
    """Our engine with the base alone, its tiles each on its own."""
    parts, made = job.parts, job.parts.architecture
    header = parts.header.replace(architecture=made.only(-1), kind="backbone")
    alone = replace(parts, header=header, branches=parts.branches[-1:], classifier=None)
    engine = engines.build(alone, job.runtime, DEVICE)
    return replace(engine, geometry=engine.geometry.alone)


def _candidates(job: Job) -> list[Tiles]:
    """What is tried for the tiled base; the trained tile alone where a branch sees all of it, as by attention."""
    made, shorter = job.parts.architecture, min(job.image.shape[1:])
    bounded = made.branches[-1].reach(made.task) is not None
    sizes = [n for n in SIZES if n == 1 or (bounded and n * made.tile.size <= shorter)]
    return list(dict.fromkeys(Tiles(n * made.tile.size, max(1, some // n**2)) for n in sizes for some in TOGETHER))


def _timed(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
