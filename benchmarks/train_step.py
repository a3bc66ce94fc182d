"""Tiles per second of a training step, compared with the same computation tile by tile, as in the reference code.

    python benchmarks/train_step.py [--networks fsrcnn carn] [--batch 96] [--rounds 3] [--threads 2]

Both sides have the same weights, losses, optimizer, threads and dtype, and alternate in one process. The tile-by-tile
loop runs the classifier and every branch on one tile at a time, each followed by its backward pass, which uses the
cache better than the graph of the whole batch; it is measured in both memory formats, and the faster one counts. Ours
is measured at several micro-batch sizes. Prints a table, or with --json the figures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import torch
from accelerate import Accelerator

from lowvision.models.architecture import Architecture
from lowvision.plugins import registry
from lowvision.training import loss_sum
from lowvision.training.loop import update
from lowvision.training.objective import RoutedObjective
from lowvision.training.options import RoutedFit

CHANNELS = {"fsrcnn": (16, 36, 56), "carn": (36, 52, 64)}
LQ, SCALE = 32, 4
FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(CHANNELS), choices=list(CHANNELS))
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = [
        row
        for network in arguments.networks
        for stage in ("classifier", "joint")
        for row in measured(network, stage, arguments.batch, arguments.rounds)
    ]
    facts = {
        "torch": torch.__version__,
        "threads": arguments.threads,
        "batch": arguments.batch,
        "rounds": arguments.rounds,
    }
    print(json.dumps({**facts, "rows": rows}, indent=1) if arguments.json else table(rows, facts))


def measured(network: str, stage: str, batch: int, rounds: int) -> list[dict[str, Any]]:
    """Measure every way of one step: best and median tiles per second, and how often it beats tile by tile."""
    accelerator = Accelerator(cpu=True)
    ways = {("tile by tile", 1, form): step(accelerator, network, stage, batch, 1, form) for form in FORMATS}
    for part in sorted({part for part in (4, 8, 16, 32, batch) if batch % part == 0}):
        ways["ours", part, "channels_last"] = step(accelerator, network, stage, batch, part, "channels_last")
    seconds: dict[Any, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):  # the first round warms up
        for way, run in ways.items():
            began = time.perf_counter()
            run()
            seconds[way].append(time.perf_counter() - began)
    baseline = min(min(s[1:]) for (who, *_), s in seconds.items() if who == "tile by tile")
    return [
        {
            "network": network,
            "step": stage,
            "who": who,
            "micro_batch": part,
            "format": form,
            "tiles_per_second_best": round(batch / min(s[1:]), 1),
            "tiles_per_second_median": round(batch / statistics.median(s[1:]), 1),
            "times_tile_by_tile": round(baseline / min(s[1:]), 2),
        }
        for (who, part, form), s in seconds.items()
    ]


def step(accelerator: Accelerator, network: str, stage: str, batch: int, part: int, form: str) -> Any:
    """Return a function that does one update of the weights."""
    known = registry.load()
    torch.manual_seed(0)
    task = known.find("tasks", "sr").component(scale=SCALE)
    backbone = known.find("backbones", network).component
    architecture = Architecture(
        task=task,
        branches=tuple(backbone(channels=channels) for channels in CHANNELS[network]),
        classifier=known.find("classifiers", "class_module").component(),
    )
    options = RoutedFit(batch=batch, micro_batch=part)
    objective = RoutedObjective(architecture.build_container(), options, stage == "classifier", loss_sum.l1())
    objective = objective.to(memory_format=FORMATS[form]).train()
    optimizer = torch.optim.Adam([p for p in objective.parameters() if p.requires_grad], lr=1e-6)
    lq = torch.rand(batch, 3, LQ, LQ).contiguous(memory_format=FORMATS[form])
    gt = torch.rand(batch, 3, LQ * SCALE, LQ * SCALE).contiguous(memory_format=FORMATS[form])
    return lambda: update(objective, optimizer, lq, gt, 0.0, options, accelerator)


def table(rows: list[dict[str, Any]], facts: dict[str, Any]) -> str:
    """Format the rows as a table."""
    head = f"torch {facts['torch']}, {facts['threads']} threads, batch {facts['batch']}, best of {facts['rounds']}"
    names = f"{'network':8} {'step':11} {'who':13} {'micro-batch':>11} {'format':14} {'tiles/s':>9} {'ratio':>6}"
    lines = [
        f"{row['network']:8} {row['step']:11} {row['who']:13} {row['micro_batch']:11} {row['format']:14} "
        f"{row['tiles_per_second_best']:9.1f} {row['times_tile_by_tile']:5.2f}x"
        for row in rows
    ]
    return "\n".join([head, "", names, *lines])


if __name__ == "__main__":
    main()
