"""Draw docs/crops-*.jpg: crops of the degraded input, of the results of the shipped weights, and of the original.

    python benchmarks/crops.py DATA

DATA contains the folder photos/val. Every crop is shown without scaling, after its route map.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import lowvision
from lowvision.imaging import io, resize
from lowvision.plugins import registry

DOCS = Path(__file__).parents[1] / "docs"
LONGER_SIDE = 2048
SIDE = 320
"""Side of a crop, in pixels of the original."""
MARGIN = 64
"""Pixels around a crop that are restored but not shown."""
GAP, LINE, SIZE = 8, 28, 16
"""Pixels between crops, height of the caption in pixels, and its font scale."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Comparison:
    """One picture of several crops."""

    file: str
    photograph: str
    top: int
    left: int
    """Position of the crop, in the photograph at 2K."""
    weights: tuple[str, ...]
    """Weights of one task; the route map is that of the last."""


COMPARISONS = (
    Comparison("crops-sr.jpg", "budgie_cc0__casa-mila__ca3eecb", 520, 760, ("sr-fsrcnn-x4", "sr-carn-x4")),
    Comparison("crops-denoise.jpg", "budgie_cc0__roman-colosseum__93038c4", 480, 900, ("denoise-dncnn",)),
)


def main() -> None:
    match sys.argv[1:]:
        case [data]:
            for comparison in COMPARISONS:
                drawn = _drawn(comparison, Path(data) / "photos" / "val")
                io.write(DOCS / comparison.file, io.Image(drawn), quality=88)
        case _:
            sys.exit(__doc__)


def _drawn(comparison: Comparison, photographs: Path) -> Pixels:
    gt = _piece(comparison, photographs)
    known = registry.load()
    carried = {name: known.find("weights", name).component().path() for name in comparison.weights}
    restorers = {name: lowvision.load(path, device="cpu", runtime="torch") for name, path in carried.items()}
    last = restorers[comparison.weights[-1]]
    task = last.architecture.task
    lq = task.degrade(gt, torch.Generator().manual_seed(0))
    restored = {name: restorer.restore(lq) for name, restorer in restorers.items()}
    routes = last.route_map(io.to_uint8(lq), restored[comparison.weights[-1]])
    panels = {"branches": routes.repeat(task.scale, axis=0).repeat(task.scale, axis=1)}
    panels["given"] = io.to_uint8(task.baseline(lq[None])[0])
    panels |= {name: io.to_uint8(image.image) for name, image in restored.items()}
    panels["original"] = io.to_uint8(gt)
    return np.concatenate([_labelled(_middle(panel), name) for name, panel in panels.items()], axis=1)


def _piece(comparison: Comparison, photographs: Path) -> Tensor:
    """Return the crop with its margin, (3,SIDE+2*MARGIN,SIDE+2*MARGIN) in [0,1]."""
    whole = io.to_tensor(io.read_rgb(photographs / f"{comparison.photograph}.jpg"))
    height, width = whole.shape[1:]
    share = LONGER_SIDE / max(height, width)
    small = resize.resize(whole, (round(share * height), round(share * width))).clamp(0, 1)
    down, right = (slice(at - MARGIN, at + SIDE + MARGIN) for at in (comparison.top, comparison.left))
    return small[:, down, right]


def _middle(panel: Pixels) -> Pixels:
    return panel[MARGIN : MARGIN + SIDE, MARGIN : MARGIN + SIDE]


def _labelled(panel: Pixels, name: str) -> Pixels:
    """Return a crop with a caption below and a gap to the right."""
    framed = np.full((SIDE + LINE, SIDE + GAP, 3), 255, dtype=np.uint8)
    framed[:SIDE, :SIDE] = panel
    io.draw_text(framed, name, 0, SIDE + LINE - 9, SIZE, (0, 0, 0))
    return framed


if __name__ == "__main__":
    main()
