"""The stage `calibrate`: measures PSNR against cost over the budget's knob on `data.valid`, for `restore --max-loss`.

Of a container, pieces of photographs go through the very engine that restores: were tiles measured one by one, the
context that merged tiles gain, and what they lose where branches meet, would be missing. One network that decides by
itself works on tiles, and is set on tiles to several shares of its cost, for `--budget` as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch import Tensor

from lowvision.data.photographs import Photograph, lq_of
from lowvision.data.tiles import fixed_tiles
from lowvision.imaging import io
from lowvision.imaging.metrics import psnrs
from lowvision.inference import engines
from lowvision.models import weights
from lowvision.models.calibration import Curve
from lowvision.models.operating_points import OperatingPoint, distinct
from lowvision.pipeline.stages import container
from lowvision.pipeline.stages.job import CALIBRATED, SET, Job
from lowvision.recipe.stages import Calibrate
from lowvision.routing.container import RoutedContainer
from lowvision.routing.engine import Engine


@dataclass(frozen=True)
class Piece:
    """The middle of a photograph."""

    lq: Tensor
    """(C,h,w)."""
    gt: Tensor
    """(C,s*h,s*w)."""
    base_cost: int
    """Multiply-adds of the base on all of it at once."""


@dataclass(frozen=True)
class Point:
    """What one k made of one piece."""

    share: float
    """Of the base's cost."""
    psnr: float


def run(job: Job, options: Calibrate) -> None:
    """Leaves the container with its curve, or the single network with what it may be set to, in `calibrate/`."""
    if job.recipe.classifier:
        _run_container(job, options)
    else:
        _run_network(job, options)
    job.accelerator.wait_for_everyone()


def _run_network(job: Job, options: Calibrate) -> None:
    path = job.base_weights()
    assert path  # a law of recipes
    network = weights.load_network(path, job.architecture, job.registry).to(job.accelerator.device).eval()
    lq, gt = fixed_tiles(job.extractor("valid"), job.recipe.data.valid_tiles, job.recipe.seed)
    lq, gt = lq.to(job.accelerator.device), gt.to(job.accelerator.device)
    shares = [number / (options.points + 1) for number in range(1, options.points + 1)]
    settings = distinct([OperatingPoint.of(network, share, lq, gt) for share in shares])
    if job.accelerator.is_main_process:
        facts = weights.read_header(path, job.registry).measured
        weights.save(job.folder / SET, network, job.architecture, job.registry, facts, job.provenance, settings)
    for setting in settings:
        job.log.say(f"calibrate: {setting.share:6.1%} of the base on tiles  {-setting.loss:+.3f} dB against it")


def _run_container(job: Job, options: Calibrate) -> None:
    path = job.kept("joint") or job.kept("classifier")
    made = weights.load_container(path, job.architecture, job.registry) if path else container.assembled(job)
    curve = _curve(job, options, made)
    if job.accelerator.is_main_process:
        known = dict(weights.read_header(path, job.registry).measured) if path else {}
        facts = {**known, **curve.measured()}
        weights.save(job.folder / CALIBRATED, made, job.architecture, job.registry, facts, job.provenance)
    for k, share, loss in zip(curve.k, curve.shares, curve.losses, strict=True):
        trained = "  (as trained)" if k == 0 else ""
        job.log.say(f"calibrate: {share:6.1%} of the base  {-loss:+.3f} dB against it on every tile{trained}")


def _curve(job: Job, options: Calibrate, made: RoutedContainer) -> Curve:
    """Every process measures its share of the photographs."""
    device = job.accelerator.device
    engine = engines.of_container(made, job.architecture, device, engines.geometry(job.architecture), options.batch)
    found = job.photographs("valid")
    own = range(job.accelerator.process_index, len(found), job.accelerator.num_processes)
    pieces = [_middle(job, found[number], options.size, job.recipe.seed + number) for number in own]
    turns = gather_object([engine.turns(piece.lq) for piece in pieces])
    ks = knobs(np.concatenate(turns), options.points)
    bases, rows = [], []
    for piece in pieces:
        metric, reached = _quality(engine.restore(piece.lq, len(made.branches) - 1).image, piece)
        bases.append((metric, reached))
        rows.append(_points(engine, piece, ks))
    bases, rows = gather_object(bases), gather_object(rows)
    return Curve(
        metric=bases[0][0],
        k=tuple(ks),
        shares=tuple(np.mean([[point.share for point in row] for row in rows], axis=0).tolist()),
        psnr=tuple(np.mean([[point.psnr for point in row] for row in rows], axis=0).tolist()),
        base=float(np.mean([reached for _, reached in bases])),
    )


def knobs(turns: NDArray[np.float64], points: int) -> list[float]:
    """So many values of k, falling: all tiles cheap, 0 as trained, all dear, and between them equally many turns."""
    if not len(turns):
        return [0.0]
    inner = np.quantile(turns, np.linspace(1, 0, points - 1)[1:-1])
    ends = float(turns.max()) + 1, float(turns.min()) - 1  # beyond the last turn: at it, either branch may be chosen
    return sorted({0.0, *ends, *inner.tolist()}, reverse=True)


def _points(engine: Engine, piece: Piece, ks: Sequence[float]) -> list[Point]:
    points: dict[bytes, Point] = {}  # several k may choose the same
    chosen = []
    for k in ks:
        routes = engine.decide(piece.lq, k=k)
        name = routes.choice.numpy().tobytes()
        if name not in points:
            _, reached = _quality(torch.cat(list(engine.bands(piece.lq, routes)), dim=1), piece)
            points[name] = Point(routes.cost / piece.base_cost, reached)
        chosen.append(points[name])
    return chosen


def _quality(restored: Tensor, piece: Piece) -> tuple[str, float]:
    """The chief PSNR, its name and its value: of RGB, or of the only channel."""
    scale = restored.shape[1] // piece.lq.shape[1]
    return next(iter(psnrs(restored, piece.gt, scale if scale > 1 else 0).items()))


def _middle(job: Job, photograph: Photograph, size: int, seed: int) -> Piece:
    """At most size x size LQ pixels; noise follows from the seed."""
    task = job.recipe.task
    lq = lq_of(photograph, task, seed)
    gt = io.to_tensor(photograph.gt)
    (top, height), (left, width) = (_part(side, size) for side in lq.shape[1:])
    s = task.scale
    return Piece(
        lq[:, top : top + height, left : left + width].to(job.accelerator.device),
        gt[:, s * top : s * (top + height), s * left : s * (left + width)],
        engines.base_cost(job.architecture, height, width),
    )


def _part(side: int, size: int) -> tuple[int, int]:
    """First pixel and length of the middle."""
    length = min(side, size)
    return (side - length) // 2, length
