"""Print the shares of a routed restore: branches, planning of a budget, classifier, and all else around the branches.

    python benchmarks/overhead.py [WEIGHTS] [--size 960x540] [--runtime torch] [--budget .75]

Without WEIGHTS, an untrained container of three DISP is restored, whose largest branch has 16 channels and 2 blocks: at
the fast end of the shipped sizes what surrounds the branches counts most. `around` is measured with branches that do
nothing (`lowvision/bench/dissection.py`); `classifier` and `budget` are parts of it. Minimum of ROUNDS runs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import lowvision
from lowvision.bench.dissection import BranchCalls, recorded, without_work
from lowvision.imaging import io
from lowvision.inference import engines
from lowvision.models import weights
from lowvision.models.architecture import Architecture
from lowvision.plugins import registry

ROUNDS = 5
SIZES = ((8, 1), (12, 1), (16, 2))
"""Channels and blocks of each branch."""


def main() -> None:
    arguments = parsed()
    width, height = map(int, arguments.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.weights or untrained(Path(folder) / "disp.safetensors")
        restorer: Any = lowvision.load(path, device="cpu", runtime=arguments.runtime)
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    report(restorer, image, arguments.budget)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("weights", nargs="?", help="weights file of a container, or the name of shipped weights")
    parser.add_argument("--size", default="960x540", help="width and height of the input")
    parser.add_argument("--runtime", default="torch")
    parser.add_argument("--budget", type=float, default=0.75)
    return parser.parse_args()


def untrained(path: Path) -> Path:
    known = registry.load()
    branches = tuple({"disp": {"channels": channels, "layers": layers}} for channels, layers in SIZES)
    options = {"task": {"sr": {"scale": 4}}, "branches": branches, "classifier": {"class_module": {}}}
    architecture = Architecture.model_validate(options, context=known)
    torch.manual_seed(0)
    weights.save(path, architecture.build(), architecture, known, {})
    return path


def report(restorer: Any, image: Any, budget: float) -> None:
    engine, lq = restorer._engine, io.to_tensor(image)
    limit = int(budget * engines.base_cost(restorer.architecture, *image.shape[:2]))
    calls = BranchCalls(engine.callers)
    restorer = replace(restorer, _engine=replace(engine, networks=recorded(engine.networks, calls)))
    total = least(lambda: restorer.restore(image, budget=budget))
    restorer = replace(restorer, _engine=replace(engine, networks=without_work(engine.networks, calls)))
    around = least(lambda: restorer.restore(image, budget=budget))
    classifier = least(lambda: engine._scores(lq, engine._plan(lq)))
    planned = least(lambda: engine.decide(lq, limit)) - classifier
    print(f"{image.shape[1]}x{image.shape[0]}, budget {budget:.0%}, {restorer.runtime}: {total:.3f} s")
    print("| part | seconds | share |\n|---|---|---|")
    for name, seconds in (("around the branches", around), ("- classifier", classifier), ("- budget", planned)):
        print(f"| {name} | {seconds:.3f} | {seconds / total:.0%} |")


def least(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


if __name__ == "__main__":
    main()
