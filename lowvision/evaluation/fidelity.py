"""Measure a container whose base is a teacher: how much faster it is, and how close to the teacher's output."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowvision.data.photographs import Photograph
from lowvision.errors import summary_of
from lowvision.evaluation import seams
from lowvision.evaluation.whole import restore_whole
from lowvision.imaging import io
from lowvision.imaging.metrics import psnrs
from lowvision.inference import engines, trained_networks
from lowvision.inference.trained_networks import ModelBundle
from lowvision.models import calibration
from lowvision.models.calibration import TEACHER_ERROR, Curve
from lowvision.plugins.contracts import Runtime
from lowvision.plugins.registry import Registry
from lowvision.routing import oracle
from lowvision.routing.engine import Engine, RestoredTiles
from lowvision.routing.tiling import suiting

logger = logging.getLogger("lowvision")

TORCH = "torch"
"""Name of the runtime that runs images of any size."""


@dataclass(frozen=True)
class WorstTile:
    """A tile of the routed image and its position."""

    photograph: int
    row: int
    """First pixel row of the tile in the restored image."""
    column: int
    loss: float
    """Loss in dB."""


@dataclass(eq=False)
class Way:
    """The measurements of one way to restore the photographs."""

    max_loss: float | None
    """Loss that selects the point of the curve; None: the teacher alone."""
    k: float = 0.0
    """Lagrange multiplier of the point."""
    seconds: list[float] = field(default_factory=list)
    """Quickest seconds of each photograph."""
    psnr: list[float] = field(default_factory=list)
    """PSNR of each photograph to the teacher on the whole image in dB."""
    tile_losses: list[NDArray[np.float64]] = field(default_factory=list)
    tiles: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """(M,) number of tiles per branch."""
    seams: list[tuple[float, float]] = field(default_factory=list)
    """Steps across seams of each photograph: of the routed image, and of the teacher's."""

    def summary(self, teacher: float) -> dict[str, Any]:
        """Return the row of a report; teacher: seconds of the teacher."""
        seconds = sum(self.seconds)
        row: dict[str, Any] = {"max_loss": self.max_loss, "seconds": seconds, "times_faster": teacher / seconds}
        if self.max_loss is None:
            return row
        ratios = [routed / whole for routed, whole in self.seams if math.isfinite(routed) and 0 < whole < math.inf]
        return row | {
            "k": self.k,
            "psnr_to_teacher": float(np.mean(self.psnr)),
            "psnr_to_teacher_worst": min(self.psnr),
            "tile_loss_p99": float(np.percentile(np.concatenate(self.tile_losses), calibration.PERCENTILE)),
            "shares": (self.tiles / self.tiles.sum()).tolist(),
            "seams": float(np.mean(ratios)) if ratios else None,
        }


@dataclass(frozen=True)
class Pictures:
    """One photograph, restored by the teacher and routed at the requested point."""

    lq: Tensor
    teacher: Tensor
    routed: Tensor


@dataclass(frozen=True)
class FidelityMeasurement:
    """The result of a measurement."""

    document: dict[str, Any]
    pictures: tuple[Pictures, ...]
    worst: tuple[WorstTile, ...]
    """The tiles with the largest loss at the requested point, in descending order."""


def measure(
    path: Path,
    photographs: Sequence[Photograph],
    registry: Registry,
    *,
    device: str,
    runtime: str,
    rounds: int,
    points: int,
    max_loss: float,
    say: Callable[[str], None],
) -> FidelityMeasurement:
    """Restore the photographs by the teacher as a whole, and routed at points of the curve.

    rounds: timed rounds; the fastest is reported. points: number of points in addition to that of `max_loss`.
    """
    bundle = trained_networks.read(path, registry)
    curve = calibration.read(bundle.header.measured)
    assert curve is not None
    selected = engines.runtime_named(runtime, bundle, registry, device)
    engine = engines.build(bundle, selected, device)
    teacher, whole_runtime = _teacher(bundle, selected, registry, device, photographs[0])
    ways = [Way(None), *_points(curve, points, max_loss)]
    requested = _requested(ways[1:], max_loss)
    pictures, worst = [], []
    for number, photograph in enumerate(photographs):
        assert photograph.lq is not None
        lq = io.to_tensor(photograph.lq)
        whole, routed = _restore(lq, ways, teacher, engine, rounds, rehearse=number == 0)
        result = routed[ways.index(requested) - 1]
        pictures.append(Pictures(lq, whole, result.image))
        worst += _tiles(requested.tile_losses[-1], result, number, engine.scale)
        say(f"fidelity: {number + 1}/{len(photographs)} {photograph.name}  {requested.psnr[-1]:.2f} dB to the teacher")
    seconds = sum(ways[0].seconds)
    document = {
        "runtime": registry.name_of(selected),
        "teacher_runtime": whole_runtime,
        "device": device,
        "threads": torch.get_num_threads(),
        "photographs": [
            {"name": photograph.name, "height": image.lq.shape[1], "width": image.lq.shape[2]}
            for photograph, image in zip(photographs, pictures, strict=True)
        ],
        "max_loss": max_loss,
        "requested": ways.index(requested),
        "rows": [way.summary(seconds) for way in ways],
    }
    worst.sort(key=lambda tile: -tile.loss)
    return FidelityMeasurement(document, tuple(pictures), tuple(worst))


def _teacher(
    bundle: ModelBundle, selected: Runtime, registry: Registry, device: str, first: Photograph
) -> tuple[Callable[[Tensor], Tensor], str]:
    """Return the teacher for whole images, lq (C,h,w) -> (C,s*h,s*w), and its runtime.

    PyTorch runs it if the selected runtime cannot: the graphs of some networks are for one size of image.
    """
    backbone, task = bundle.architecture.branches[-1], bundle.architecture.task
    scale, reach, multiple = task.scale, backbone.reach(task), backbone.multiple_of

    def whole(runtime: Runtime) -> Callable[[Tensor], Tensor]:
        prepared = runtime.prepare(bundle.branches[-1], 1, device)

        @torch.inference_mode()
        def restore(lq: Tensor) -> Tensor:
            padded = suiting(lq, multiple).to(device)
            restored = restore_whole(prepared, padded, scale, reach, multiple)
            return restored[:, : scale * lq.shape[1], : scale * lq.shape[2]].cpu()

        return restore

    assert first.lq is not None
    try:
        teacher = whole(selected)
        teacher(io.to_tensor(first.lq))
    except Exception as error:  # runtimes raise many types
        name, reason = registry.name_of(selected), summary_of(error)[:200]
        if name == TORCH:
            raise
        logger.info("fidelity: %s cannot run whole images (%s); PyTorch does", name, reason)
        return whole(registry.find("runtimes", TORCH).component()), TORCH
    return teacher, registry.name_of(selected)


def _points(curve: Curve, count: int, max_loss: float) -> list[Way]:
    """Select at most `count` points of the curve, evenly by cost, and the one of `max_loss` if there is one."""
    losses = [max(loss, 0.0) for loss in curve.losses]
    numbers = {round(n) for n in np.linspace(0, len(losses) - 1, count)}
    if min(losses) <= max_loss:
        numbers.add(curve.point(max_loss))
    return [Way(losses[n], curve.k[n]) for n in sorted(numbers)]


def _requested(points: Sequence[Way], max_loss: float) -> Way:
    """Return the cheapest point within the loss; the one with the smallest loss if there is none."""
    losses = [math.inf if way.max_loss is None else way.max_loss for way in points]
    within = [way for way, loss in zip(points, losses, strict=True) if loss <= max_loss]
    return within[0] if within else points[int(np.argmin(losses))]


def _restore(
    lq: Tensor,
    ways: Sequence[Way],
    teacher: Callable[[Tensor], Tensor],
    engine: Engine,
    rounds: int,
    rehearse: bool,
) -> tuple[Tensor, list[RestoredTiles]]:
    """Restore a photograph in every way, and record its measurements; return the teacher's image, and the routed."""
    timed: list[Callable[[], Any]] = [partial(teacher, lq), *(_routing(engine, lq, way.k) for way in ways[1:])]
    whole, *routed = _run(timed, ways, rounds, rehearse)
    for way, result in zip(ways[1:], routed, strict=True):
        _compare(way, result, whole, engine)
    return whole, routed


def _routing(engine: Engine, lq: Tensor, k: float) -> Callable[[], RestoredTiles]:
    return lambda: engine.restored(lq, engine.decide(lq, k=k))


def _run(timed: Sequence[Callable[[], Any]], ways: Sequence[Way], rounds: int, rehearse: bool) -> list[Any]:
    """Run every way `rounds` times in turn, and record the quickest seconds of each; return the results."""
    results = [restore() for restore in timed] if rehearse else []
    quickest = [math.inf] * len(timed)
    for _ in range(rounds):
        results = []
        for n, restore in enumerate(timed):
            began = time.perf_counter()
            results.append(restore())
            quickest[n] = min(quickest[n], time.perf_counter() - began)
    for way, seconds in zip(ways, quickest, strict=True):
        way.seconds.append(seconds)
    return results


def _compare(way: Way, result: RestoredTiles, whole: Tensor, engine: Engine) -> None:
    """Record the quality of a routed image."""
    crop = engine.scale if engine.scale > 1 else 0
    image = result.image.cpu()
    way.psnr.append(_psnr(image, whole, crop))
    sizes = oracle.tile_sizes(result.tiling, len(image), engine.scale)
    errors = oracle.tile_errors(image, whole.clamp(0, 1), result.tiling, engine.scale) / sizes
    way.tile_losses.append(10 * np.log10(1 + errors / TEACHER_ERROR))
    counts = np.bincount(result.choice.numpy(), minlength=len(engine.networks.branches))
    way.tiles = counts if not len(way.tiles) else way.tiles + counts
    borders = seams.between_branches(result.tiling, result.choice, engine.scale)
    if bool(borders.any()):
        way.seams.append((seams.excess(image, borders), seams.excess(whole, borders)))


def _psnr(image: Tensor, other: Tensor, crop: int) -> float:
    return next(iter(psnrs(image, other, crop).values()))


def _tiles(losses: NDArray[np.float64], result: RestoredTiles, number: int, scale: int) -> list[WorstTile]:
    columns = len(result.tiling.lefts)
    return [
        WorstTile(
            number, scale * result.tiling.tops[n // columns], scale * result.tiling.lefts[n % columns], float(loss)
        )
        for n, loss in enumerate(losses)
    ]
