"""Measure quality against seconds of any weights, whole and routed, and draw the front.

    python benchmarks/front.py ROW... --photos FOLDER [--longer-side 2048] [--rounds 3] [--runtime openvino] [-o front]

A ROW is a weights file or the name of shipped weights. A single network runs on the whole image. A container is routed
as `lowvision restore` does it; `NAME@0.35` keeps to that budget, `NAME@0.03dB` is a `--max-loss`, `NAME@fast` a speed
(`fast`, `balanced`, `best`), `NAME@whole` runs its base on the whole image. `LABEL=ROW` names a row in table and plot.
Photographs are degraded by the task of the weights (antialiased bicubic for super-resolution) and rounded to 8 bit.

Each row runs in a separate process, which warms up on the first photograph. Rounds alternate between rows, so that all
meet the same load. The table has the seconds of all photographs (quickest round, and slowest), PSNR of RGB and SSIM of
luma as means over photographs, and for routed rows the mean share of the multiply-adds of the base on the whole image.
With `-o NAME` the table goes to NAME.json and the plot, which needs matplotlib, to NAME.png and NAME.svg.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from lowvision.data import photographs
from lowvision.imaging import io
from lowvision.imaging.metrics import measure
from lowvision.inference import engines, restorer, trained_networks
from lowvision.models import pretrained
from lowvision.models.calibration import SPEEDS
from lowvision.plugins import registry
from lowvision.plugins.folder_dataset import Folder
from lowvision.routing.tiling import suiting

WHOLE = "whole"
LOSS = "dB"
"""Ending of a budget that is a loss."""

Restore = Callable[[Tensor], tuple[Tensor, float]]
"""lq (C,h,w) -> restored image, and its cost as a share of that of the base on the whole image."""


@dataclass(frozen=True)
class Row:
    """One point of the plot."""

    label: str
    weights: str
    budget: str = ""
    """A share of the base's cost, a loss in dB, a speed, `whole`, or nothing."""

    @property
    def limits(self) -> dict[str, Any]:
        """Arguments of `Restorer.restore`."""
        if self.budget in SPEEDS:
            return {"speed": self.budget}
        if self.budget.endswith(LOSS):
            return {"max_loss": float(self.budget.removesuffix(LOSS))}
        return {"budget": float(self.budget)} if self.budget else {}

    @classmethod
    def of(cls, argument: str) -> Row:
        label, _, row = argument.rpartition("=")
        weights, _, budget = row.partition("@")
        return cls(label or Path(weights).stem + (f"@{budget}" if budget else ""), weights, budget)


def main() -> None:
    options = arguments()
    if options.worker:
        work(options)
        return
    if options.output:
        import matplotlib  # noqa: F401  # a missing library must not be found after minutes of measuring
    rows = [Row.of(argument) for argument in options.rows]
    workers = [started(argument, options) for argument in options.rows]
    quality = [json.loads(answer(worker)) for worker in workers]
    seconds: list[list[float]] = [[] for _ in rows]
    for _ in range(options.rounds):
        for n, worker in enumerate(workers):
            print("go", file=stream(worker.stdin), flush=True)
            seconds[n].append(float(answer(worker)))
    for worker in workers:
        stream(worker.stdin).close()
        worker.wait()
    table = [{**asdict(row), **quality[n], "seconds": seconds[n]} for n, row in enumerate(rows)]
    for entry in sorted(table, key=lambda entry: min(entry["seconds"])):
        low, high = min(entry["seconds"]), max(entry["seconds"])
        cost = f"  {entry['share_of_base']:.1%} of the base" if entry["is_routed"] else ""
        quality_ = f"{entry['psnr']:.3f} dB  SSIM {entry['ssim']:.4f}"
        print(f"{entry['label']:40} {low:8.2f} s (to {high:.2f})  {quality_}{cost}")
    if options.output:
        Path(f"{options.output}.json").write_text(json.dumps(table, indent=1) + "\n")
        draw(table, options.output)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="+", metavar="ROW")
    parser.add_argument("--photos", required=True)
    parser.add_argument("--longer-side", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runtime", default="openvino")
    parser.add_argument("-o", "--output")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def started(row: str, options: argparse.Namespace) -> subprocess.Popen[str]:
    """Start the process of a row."""
    command = [sys.executable, __file__, row, "--photos", options.photos, "--longer-side", str(options.longer_side)]
    return subprocess.Popen(
        [*command, "--runtime", options.runtime, "--worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def stream(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


def answer(worker: subprocess.Popen[str]) -> str:
    """Return the next line of a worker; end the program if the worker has died, after the worker printed its error."""
    line = stream(worker.stdout).readline()
    if not line:
        sys.exit("a row failed; its error is above")
    return line


def work(options: argparse.Namespace) -> None:
    """Print the quality of a row, then the seconds of all photographs for each line that is read."""
    row = Row.of(options.rows[0])
    restore, pairs, is_routed = prepared(row, options)
    restore(pairs[0][0])  # the first call exports graphs and allocates memory
    measured = []
    for lq, gt in pairs:
        image, share = restore(lq)
        measured.append((*quality(image, gt, gt.shape[1] // lq.shape[1]), share))
    psnr, ssim, share = np.mean(measured, axis=0).tolist()
    print(json.dumps({"psnr": psnr, "ssim": ssim, "is_routed": is_routed, "share_of_base": share}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for lq, _gt in pairs:
            restore(lq)
        print(time.perf_counter() - start, flush=True)


def prepared(row: Row, options: argparse.Namespace) -> tuple[Restore, list[tuple[Tensor, Tensor]], bool]:
    """Return the function of a row, the pairs of lq and gt, and whether it routes."""
    components = registry.load()
    path = pretrained.find(Path(row.weights), components)
    bundle = trained_networks.read(path, components)
    task = bundle.architecture.task
    photos = photographs.load(Folder(path=options.photos, longer_side=options.longer_side), task)
    pairs = [(photographs.lq_of(photo, task, n), io.to_tensor(photo.gt)) for n, photo in enumerate(photos)]
    if bundle.classifier is None or row.budget == WHOLE:
        return whole(bundle, engines.runtime_named(options.runtime, bundle, components, "cpu")), pairs, False
    network = restorer.load(path, runtime=options.runtime)

    def routed(lq: Tensor) -> tuple[Tensor, float]:
        restored = network.restore(lq, **row.limits)
        return restored.image, restored.share_of_base

    return routed, pairs, True


def whole(bundle: Any, runtime: Any) -> Restore:
    """Return a function that runs the last branch on the whole image."""
    multiple = bundle.architecture.branches[-1].multiple_of
    network = runtime.prepare(bundle.branches[-1], 1, "cpu")
    scale = bundle.architecture.task.scale

    @torch.inference_mode()
    def restore(lq: Tensor) -> tuple[Tensor, float]:
        height, width = lq.shape[1:]
        image: Tensor = network(suiting(lq, multiple)[None])[0]
        return image[:, : scale * height, : scale * width], 1.0

    return restore


def quality(restored: Tensor, gt: Tensor, scale: int) -> tuple[float, float]:
    """Return PSNR of RGB and SSIM of luma without a border of `scale` pixels; no border at scale 1."""
    values = measure(restored, gt, scale if scale > 1 else 0)
    psnr, *_, ssim = values.values()
    return psnr, ssim


def front(table: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Return the rows that no other row beats in both seconds and PSNR, from the fastest."""
    best = -np.inf
    for entry in sorted(table, key=lambda entry: (min(entry["seconds"]), -entry["psnr"])):
        if entry["psnr"] > best:
            best = entry["psnr"]
            yield entry


def draw(table: list[dict[str, Any]], output: str) -> None:
    """Draw decibels against seconds (logarithmic), the front as a line."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for routed, colour in ((True, "#c2452d"), (False, "#4a6a8a")):
        rows = [entry for entry in table if entry["is_routed"] == routed]
        axes.scatter([min(e["seconds"]) for e in rows], [e["psnr"] for e in rows], color=colour, s=28, zorder=3,
                     label="routed" if routed else "whole image")  # fmt: skip  # one call a line
    for entry in table:
        axes.annotate(entry["label"], (min(entry["seconds"]), entry["psnr"]), (5, -9), textcoords="offset points",
                      fontsize=7)  # fmt: skip
    line = list(front(table))
    axes.plot([min(e["seconds"]) for e in line], [e["psnr"] for e in line], color="#999999", lw=1, zorder=1)
    axes.set(xscale="log", xlabel="seconds for all photographs", ylabel="PSNR of RGB, dB")
    axes.set_xticks([0.5, 1, 2, 5, 10, 20], labels=["0.5", "1", "2", "5", "10", "20"], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_xlim(0.8 * min(min(e["seconds"]) for e in table), 1.6 * max(min(e["seconds"]) for e in table))
    axes.grid(alpha=0.25)
    axes.legend()
    for ending in ("png", "svg"):
        figure.savefig(f"{output}.{ending}", dpi=150)


if __name__ == "__main__":
    main()
