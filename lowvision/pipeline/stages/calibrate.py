"""The stage `calibrate`: measure PSNR against cost on `data.valid`, for `restore --max-loss`.

A container is measured over the Lagrange multiplier k, on crops of photographs restored by the same engine as
`lowvision restore`. Measuring single tiles would miss the context that merged tiles gain, and the loss where branches
meet. A single adaptive network is measured on tiles, at several fractions of its cost, for `--budget` as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch import Tensor

from lowvision.data.photographs import Photograph, lq_of
from lowvision.data.tiles import fixed_tiles
from lowvision.imaging import io
from lowvision.imaging.metrics import psnrs
from lowvision.inference import engines
from lowvision.models import calibration, weights
from lowvision.models.architecture import Architecture, Tile
from lowvision.models.calibration import INVISIBLE, PERCENTILE, TEACHER_ERROR, Curve
from lowvision.models.operating_points import OperatingPoint, distinct
from lowvision.pipeline.core_stages import Calibrate
from lowvision.pipeline.stages import container
from lowvision.pipeline.stages.job import CALIBRATED, SET, Job
from lowvision.routing import oracle, window_borders
from lowvision.routing.container import RoutedContainer
from lowvision.routing.engine import Engine, Routes
from lowvision.routing.window_cache import cached

CANDIDATES = 8
"""Values of k for each point, of which those are taken whose costs are evenly spaced; they are only planned."""
TILES = 8
"""Length of what is measured by default, in tile sizes."""


@dataclass(frozen=True)
class Crop:
    """The center of a photograph."""

    lq: Tensor
    """(C,h,w)."""
    gt: Tensor
    """(C,s*h,s*w)."""
    base_cost: int
    """Multiply-adds of the base on the whole crop."""
    is_taught: bool
    """True: a teacher made gt."""

    @property
    def constant(self) -> float:
        """Return the constant in a loss (`lowvision/models/calibration.py`)."""
        return TEACHER_ERROR if self.is_taught else INVISIBLE


@dataclass(frozen=True)
class Point:
    """The result of one k on one crop."""

    share: float
    """Cost as a fraction of the base cost."""
    psnr: float
    loss: float
    """Loss against the base in dB."""
    tile_losses: NDArray[np.float64]
    """(N,) loss of each tile in dB."""


def run(job: Job, options: Calibrate) -> None:
    """Write the container with its curve, or the single network with its operating points, to `calibrate/`."""
    if job.recipe.classifier:
        _run_container(job, options)
    else:
        _run_network(job, options)
    job.accelerator.wait_for_everyone()


def _run_network(job: Job, options: Calibrate) -> None:
    path = job.base_weights()
    assert path  # validated by the recipe
    network = weights.load_network(path, job.deployed, job.registry).to(job.accelerator.device).eval()
    lq, gt = fixed_tiles(job.extractor("valid"), job.recipe.data.valid_tiles, job.recipe.seed)
    lq, gt = lq.to(job.accelerator.device), gt.to(job.accelerator.device)
    shares = [number / (options.points + 1) for number in range(1, options.points + 1)]
    settings = distinct([OperatingPoint.of(network, share, lq, gt) for share in shares])
    if job.accelerator.is_main_process:
        measured = weights.read_header(path, job.registry).measured
        job.claim(job.folder / SET)
        weights.save(job.folder / SET, network, job.deployed, job.registry, measured, job.provenance, settings)
    for setting in settings:
        job.log.info(f"calibrate: {setting.share:6.1%} of the base on tiles  {-setting.loss:+.3f} dB against it")


def _run_container(job: Job, options: Calibrate) -> None:
    path = job.container_weights()
    loaded = weights.load_container(path, job.deployed, job.registry) if path else container.assembled(job)
    curve = _curve(job, options, loaded)
    if job.accelerator.is_main_process:
        earlier = weights.read_header(path, job.registry).measured if path else {}
        measured = {**earlier, **curve.measured()}
        job.claim(job.folder / CALIBRATED)
        provenance = job.provenance.replace(calibrated=_protocol(job, options))
        weights.save(job.folder / CALIBRATED, loaded, job.deployed, job.registry, measured, provenance)
    for n, (k, share, loss) in enumerate(zip(curve.k, curve.shares, curve.losses, strict=True)):
        trained = "  (as trained)" if k == 0 else ""
        fidelity = f"  {curve.psnr[n]:.2f} dB to the teacher" if curve.to_teacher else ""
        job.log.info(
            f"calibrate: {share:6.1%} of the base  {-loss:+.3f} dB against it on every tile{fidelity}{trained}"
        )


def _protocol(job: Job, options: Calibrate) -> str:
    size = options.size or job.recipe.tile.covering(TILES * job.recipe.tile.size)
    return f"means over the centres, at most {size}x{size} LQ pixels, of all photographs of {job.set_name('valid')}"


def _curve(job: Job, options: Calibrate, loaded: RoutedContainer) -> Curve:
    """Measure the curve; every process measures its share of the photographs."""
    device = job.accelerator.device
    engine = engines.of_container(loaded, job.deployed, device, engines.geometry(job.deployed), options.batch)
    networks = engine.networks
    photographs = job.photographs("valid")
    shard = range(job.accelerator.process_index, len(photographs), job.accelerator.num_processes)
    crops = [_center_crop(job, photographs[number], options, job.recipe.seed + number) for number in shard]
    is_taught = any(photograph.is_taught for photograph in photographs)
    border = _border(job.deployed, engine, crops) if is_taught else ()
    engine = replace(engine, border=border)
    scores = [engine.scores(crop.lq) for crop in crops]
    ks = _multipliers(engine, crops, scores, options.points)
    bases, rows = [], []
    for crop, scored in zip(crops, scores, strict=True):
        # Neighbouring points of the curve differ in few tiles.
        engine = replace(engine, networks=cached(networks))
        base = engine.restore(crop.lq, len(loaded.branches) - 1).image
        bases.append(_quality(base, crop))
        rows.append(_points(engine, crop, [engine.chosen(crop.lq, scored, k=k) for k in ks], base))
    bases, rows = gather_object(bases), gather_object(rows)
    worst = [np.percentile(np.concatenate([row[n].tile_losses for row in rows]), PERCENTILE) for n in range(len(ks))]
    return Curve(
        metric=bases[0][0],
        k=tuple(ks),
        shares=tuple(np.mean([[point.share for point in row] for row in rows], axis=0).tolist()),
        psnr=tuple(np.mean([[point.psnr for point in row] for row in rows], axis=0).tolist()),
        base=float(np.mean([measured_psnr for _, measured_psnr in bases])),
        worst=tuple(float(loss) for loss in worst),
        to_teacher=tuple(np.mean([[point.loss for point in row] for row in rows], axis=0).tolist())
        if is_taught
        else None,
        border=border or None,
    )


def _border(architecture: Architecture, engine: Engine, crops: Sequence[Crop]) -> tuple[float, ...]:
    """Measure the error of a teacher near the border of its windows, on the crops of all processes.

    Empty if single tiles hold what the teacher sees, if nothing is merged, or if the classifier predicts no errors.
    """
    reach = architecture.branches[-1].reach(architecture.task)
    sees_far = reach is None or reach > architecture.tile.size
    classifier = architecture.classifier
    if not (sees_far and engine.geometry.merge > 1 and classifier and classifier.predicts == "error"):
        return ()
    measured = [window_borders.measure(engine, crop.lq, crop.gt) for crop in crops]
    return window_borders.relative(gather_object(measured))


def _multipliers(
    engine: Engine, crops: Sequence[Crop], scores: Sequence[NDArray[np.float64]], points: int
) -> list[float]:
    """Select the k of the curve's points, descending, on the crops of all processes."""
    turns = gather_object([engine.turns(crop.lq, scored) for crop, scored in zip(crops, scores, strict=True)])
    ks = multipliers(np.concatenate(turns), CANDIDATES * points)
    shares = [
        [engine.chosen(crop.lq, scored, k=k).cost / crop.base_cost for k in ks]
        for crop, scored in zip(crops, scores, strict=True)
    ]
    return spaced(ks, np.mean(gather_object(shares), axis=0), points)


def spaced(ks: Sequence[float], shares: NDArray[np.float64], points: int) -> list[float]:
    """Select at most `points` of descending k whose costs, as shares of the base's, are evenly spaced by square roots.

    Cheap points lie closer: there the loss changes most. Both ends and k = 0 are among them.
    """
    roots = np.sqrt(shares)
    wanted = np.linspace(roots[0], roots[-1], points - 1)[:-1]  # the last one and 0 are added
    nearest = {int(np.abs(roots - root).argmin()) for root in wanted}
    return [k for n, k in enumerate(ks) if n in nearest or n in (0, len(ks) - 1) or k == 0]


def multipliers(turns: NDArray[np.float64], count: int) -> list[float]:
    """Return values of k, descending, from all tiles on the cheapest branch to all on the most expensive one.

    k = 0 (as trained) is among them; the others are quantiles of `turns`.

    turns: every k at which a tile switches its branch.
    """
    if not len(turns):
        return [0.0]
    inner = np.quantile(turns, np.linspace(1, 0, count - 1)[1:-1])
    ends = (
        float(turns.max()) + 1,
        float(turns.min()) - 1,
    )  # beyond the extremes, because at a turn both branches are equal
    return sorted({0.0, *ends, *inner.tolist()}, reverse=True)


def _points(engine: Engine, crop: Crop, routes: Sequence[Routes], base: Tensor) -> list[Point]:
    tiling = engine.given(crop.lq, 0).tiling
    base_errors = oracle.tile_errors(base, crop.gt, tiling, engine.scale)
    points: dict[bytes, Point] = {}  # several routes may have the same choice
    chosen = []
    for each in routes:
        key = each.choice.numpy().tobytes()
        if key not in points:
            restored = engine.restored(crop.lq, each).image
            errors = oracle.tile_errors(restored, crop.gt, tiling, engine.scale)
            points[key] = _point(crop, each, restored, errors, base_errors)
        chosen.append(points[key])
    return chosen


def _point(
    crop: Crop, routes: Routes, restored: Tensor, errors: NDArray[np.float64], base_errors: NDArray[np.float64]
) -> Point:
    """Return the point of one route; the errors (N,) are sums over each tile."""
    sizes = oracle.tile_sizes(routes.tiling, len(crop.lq), restored.shape[1] // crop.lq.shape[1])
    tile_losses = 10 * np.log10((errors / sizes + crop.constant) / (base_errors / sizes + crop.constant))
    loss = calibration.loss(errors.sum() / sizes.sum(), base_errors.sum() / sizes.sum(), crop.constant)
    return Point(routes.cost / crop.base_cost, _quality(restored, crop)[1], loss, tile_losses)


def _quality(restored: Tensor, crop: Crop) -> tuple[str, float]:
    """Return name and value of the main PSNR: of RGB, or of the only channel."""
    scale = restored.shape[1] // crop.lq.shape[1]
    return next(iter(psnrs(restored, crop.gt, scale if scale > 1 else 0).items()))


def _center_crop(job: Job, photograph: Photograph, options: Calibrate, seed: int) -> Crop:
    """Crop the center, of the size of the options; the seed determines the noise."""
    task = job.recipe.task
    lq = lq_of(photograph, task, seed)
    gt = io.to_tensor(photograph.gt)
    (top, height), (left, width) = (_center(side, job.recipe.tile, options) for side in lq.shape[1:])
    s = task.scale
    return Crop(
        lq[:, top : top + height, left : left + width].to(job.accelerator.device),
        gt[:, s * top : s * (top + height), s * left : s * (left + width)],
        engines.base_cost(job.deployed, height, width),
        photograph.is_taught,
    )


def _center(side: int, tile: Tile, options: Calibrate) -> tuple[int, int]:
    """Return first pixel and length of the center."""
    length = _length(side, tile, options)
    return (side - length) // 2, length


def _length(side: int, tile: Tile, options: Calibrate) -> int:
    """Return the length of the center: by default, one that tiles cover with their least overlap."""
    return min(side, options.size or tile.covering(min(side, TILES * tile.size)))
