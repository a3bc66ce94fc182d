"""Print the shares of a routed restore: branches, planning of a budget, classifier, and all else around the branches.

    python benchmarks/overhead.py [WEIGHTS] [--size 960x540] [--runtime torch] [--speed fast | --budget .75]

Without WEIGHTS, the default weights of `lowvision restore` run: at `fast`, what surrounds the branches counts most. The
image is a mosaic of sample photographs. `around` is measured with branches that do nothing
(`lowvision/bench/dissection.py`); `classifier` and, with `--budget`, `budget` are parts of it. Seconds are those of the
processor, summed over threads: on the clock, branches run while the bands before them are blended and converted.
Minimum of ROUNDS runs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lowvision
from lowvision.bench.dissection import BranchCalls, recorded, without_work
from lowvision.imaging import io
from lowvision.inference import engines
from lowvision.plugins import registry

ROUNDS = 5
SIDE = 300
"""Height and width of the part of a sample photograph that is used, in pixels."""


def main() -> None:
    arguments = parsed()
    width, height = map(int, arguments.size.split("x"))
    restorer: Any = lowvision.load(arguments.weights, device="cpu", runtime=arguments.runtime)
    limit = {"budget": arguments.budget} if arguments.budget else {"speed": arguments.speed}
    report(restorer, mosaic(height, width), limit)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "weights", nargs="?", default="sr-disp-x4", help="weights file of a container, or the name of shipped weights"
    )
    parser.add_argument("--size", default="960x540", help="width and height of the input")
    parser.add_argument("--runtime", default="torch")
    parser.add_argument("--speed", default="fast")
    parser.add_argument("--budget", type=float)
    return parser.parse_args()


def mosaic(height: int, width: int) -> NDArray[np.uint8]:
    """Fill an image with sample photographs side by side, row by row."""
    entry = registry.load()["datasets"]["samples_test"]
    photos = [io.read_rgb(photo.gt)[:SIDE, :SIDE] for photo in entry.component().photos()]
    across, down = -(-width // SIDE), -(-height // SIDE)
    rows = [np.hstack([photos[(row + column) % len(photos)] for column in range(across)]) for row in range(down)]
    return np.ascontiguousarray(np.vstack(rows)[:height, :width])


def report(restorer: Any, image: NDArray[np.uint8], limit: dict[str, Any]) -> None:
    engine, lq = restorer._engine, io.to_tensor(image)
    cost = int(limit.get("budget", 1.0) * engines.base_cost(restorer.architecture, *image.shape[:2]))
    calls = BranchCalls(engine.callers)
    restorer = replace(restorer, _engine=replace(engine, networks=recorded(engine.networks, calls)))
    total = least(lambda: restorer.restore(image, **limit))
    restorer = replace(restorer, _engine=replace(engine, networks=without_work(engine.networks, calls)))
    around = least(lambda: restorer.restore(image, **limit))
    classifier = least(lambda: engine.scores(lq))
    parts = {"around the branches": around, "- classifier": classifier}
    if "budget" in limit:
        parts["- budget"] = least(lambda: engine.decide(lq, cost)) - classifier
    print(f"{image.shape[1]}x{image.shape[0]}, {limit}, {restorer.runtime}: {total:.3f} s of the processor")
    print("| part | processor seconds | share |\n|---|---|---|")
    for name, seconds in parts.items():
        print(f"| {name} | {seconds:.3f} | {seconds / total:.0%} |")


def least(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


if __name__ == "__main__":
    main()
