"""Restore images with the networks of a weights file: arrays or tensors, grey or RGB, with or without alpha."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowvision.errors import DataError, UsageError
from lowvision.imaging import io
from lowvision.imaging.io import Pixels
from lowvision.imaging.resize import resize
from lowvision.inference import engines, package, route_map, trained_networks
from lowvision.inference.image_arrays import Kind, check_finite, empty_result, to_planes, visible_colour, write_rows
from lowvision.inference.limits import Allowance, Limits
from lowvision.models import calibration as curves
from lowvision.models import pretrained, weights, weights_header
from lowvision.models.architecture import Architecture
from lowvision.models.calibration import Curve, Speed
from lowvision.models.operating_points import OperatingPoint
from lowvision.plugins import registry as plugin_registry
from lowvision.plugins.contracts import Adaptive, Precision, Runtime
from lowvision.plugins.registry import Registry
from lowvision.routing import adapting
from lowvision.routing.engine import Engine, Routes, Watch
from lowvision.routing.networks import Run
from lowvision.routing.tiling import Tiling, unit
from lowvision.system import devices
from lowvision.system.allocator import keep_memory

logger = logging.getLogger("lowvision")


@dataclass(frozen=True, eq=False)
class Restored(Generic[Kind]):
    """A restored image, the branch of each tile, and the cost."""

    image: Kind
    """The same type as the input, `scale` times as high and wide."""
    choice: NDArray[np.int64]
    """(rows, columns) the branch that restored each tile; (B, rows, columns) for a batch."""
    tiling: Tiling
    """The grid of tiles, in pixels of the input."""
    tiles: tuple[int, ...]
    """Number of tiles per branch."""
    cost: int
    """Multiply-adds spent: branches including overlap, plus the classifier."""
    base_cost: int
    """Multiply-adds of the base, the last branch, on the whole image: the cost without routing."""
    seconds: float
    """Seconds from the input image to the restored one."""

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of tiles per branch."""
        return tuple(count / sum(self.tiles) for count in self.tiles)

    @property
    def share_of_base(self) -> float:
        """Cost relative to the base on the whole image; above 1 if overlap costs more than routing saves."""
        return self.cost / self.base_cost


@dataclass(frozen=True, eq=False)
class Restorer:
    """Restore images of any size; created by `load`."""

    architecture: Architecture
    """Task, networks and tile of the weights."""
    device: torch.device
    """Device of the networks."""
    runtime: str
    """Name of the runtime."""
    curve: Curve | None
    """PSNR against cost, if the stage `calibrate` measured it."""
    settings: tuple[OperatingPoint, ...]
    """Operating points of a single adaptive network, if the stage `calibrate` measured them."""
    _adaptive_at: Callable[[int], Adaptive]
    """Returns the adaptive network at the operating point of a number."""
    base_alone: Callable[[], Run]
    """Returns the base, (B,C,H,W) -> (B,C,s*H,s*W), prepared for one call at a time: the network without routing."""
    _engine: Engine
    """Runs the branches; it never calls the classifier of a single network."""

    @property
    def scale(self) -> int:
        """Height of a result divided by the height of its input."""
        return self.architecture.task.scale

    def check_budget(
        self,
        budget: float | None = None,
        max_loss: float | None = None,
        speed: Speed | None = None,
        worst: float | None = None,
    ) -> None:
        """Raise UsageError if this network cannot keep a budget, or has no curve for a loss or a speed."""
        self._limits.check(budget, max_loss, speed, worst)

    @functools.cached_property
    def _limits(self) -> Limits:
        return Limits(self.architecture, self.curve, self.settings, self._adaptive_at)

    def restore(
        self,
        image: Kind,
        *,
        budget: float | None = None,
        progress: Watch | None = None,
        max_loss: float | None = None,
        speed: Speed | None = None,
        restores_alpha: bool = False,
        worst: float | None = None,
    ) -> Restored[Kind]:
        """Restore an image; the result has the same type, dtype, channels and device.

        image: an array (H,W,C), uint8, uint16 or float32 nominally in [0,1]; or a floating tensor (C,H,W) or
        (B,C,H,W) nominally in [0,1]. C is 1 (grey), 3 (RGB, in this order) or 4 (RGB and straight alpha). Integers
        are clamped and rounded, floats are not. An RGB network gets grey in all three channels, and its output is
        averaged. The colour of fully transparent pixels is replaced by that of the nearest visible ones.
        budget: limit on the cost, as a fraction of the base cost; None: no limit.
        progress: callback, called with (tiles done, tiles in total).
        max_loss: limit on the loss of PSNR in dB against the base on every tile, in the mean over the photographs that
        `curve` was measured on; selects the cheapest point of the curve within it. A single image may lose more.
        speed: name of a loss: `fast` 0.3 dB, `balanced` 0.05 dB, `best` 0 dB. Without budget, loss and speed, weights
        with a curve are run at `balanced`, others by the classifier's own choice.
        restores_alpha: the network restores alpha too, as a grey image; otherwise alpha is resampled bicubically.
        worst: limit on the loss in dB of all but one percent of the tiles, besides that on the mean.

        A single adaptive network runs at one of `settings`, always by PyTorch, tile by tile: the most expensive
        operating point within the budget, or the cheapest within the loss, as measured by the stage `calibrate`. A
        single image may cost more.

        Raises DataError for pixels that are not finite, or for colour if the network restores grey only, RunError if
        the network gives NaN or infinite values,
        LowvisionError for a budget that cannot be kept, TypeError and ValueError for an unsupported image.
        """
        self.check_budget(budget, max_loss, speed, worst)
        planes, batched = to_planes(image), isinstance(image, Tensor) and image.ndim == 4  # planes: (B, C, H, W)
        height, width = planes.shape[2:]
        base_cost = engines.base_cost(self.architecture, height, width)  # counted before the timer starts
        cost = None if budget is None else int(budget * base_cost)
        allowed = Allowance(cost, self._limits.loss(budget, max_loss, speed), worst)
        began = time.perf_counter()
        result = empty_result(image, self.scale, pinned=self.device.type == "cuda")
        planes = self._engine.on_device(planes)
        routed = [
            self._restore_one(lq, result, n, allowed, restores_alpha, _part(progress, n, len(planes)))
            for n, lq in enumerate(planes)
        ]
        devices.synchronize(self.device)
        seconds = time.perf_counter() - began

        branches = len(self.architecture.branches)
        return _restored(result, routed, batched, branches, len(planes) * base_cost, seconds)

    def route_map(self, image: Pixels, restored: Restored[Any]) -> NDArray[np.uint8]:
        """Draw the branch of each tile over the input image (H,W,C): (H+legend,>=W,3)."""
        choice = torch.from_numpy(restored.choice).flatten()
        branches = len(self.architecture.branches)
        return io.to_uint8(route_map.overlay(io.to_tensor(image)[:3], choice, restored.tiling, 1, branches))

    def _restore_one(
        self,
        planes: Tensor,
        result: Any,
        n: int,
        allowed: Allowance,
        restores_alpha: bool,
        progress: Watch | None,
    ) -> Routes:
        """Restore one image (C,H,W), on any device, into image n of the result; C is 1, 3 or 4 in both."""
        colour, alpha = planes[:3], planes[3:]
        if len(alpha):
            colour = visible_colour(planes)
        if len(colour) > self.architecture.task.channels:
            raise DataError(
                "is in colour, but these weights restore grey images; convert it to grey, or take weights for RGB"
            )
        routes = self._run(colour, result, n, slice(0, len(colour)), allowed, progress)
        if len(alpha) and restores_alpha:
            more = self._run(alpha, result, n, slice(3, 4), allowed, None)
            return replace(routes, cost=routes.cost + more.cost)
        if len(alpha):
            size = (self.scale * planes.shape[1], self.scale * planes.shape[2])
            write_rows(result, n, slice(3, 4), 0, resize(unit(alpha), size).clamp(0, 1))
        return routes

    def _run(
        self,
        planes: Tensor,
        result: Any,
        n: int,
        channels: slice,
        allowed: Allowance,
        progress: Watch | None,
    ) -> Routes:
        """Run the networks on planes (1 or 3,H,W) and write the bands into channels of image n of the result."""
        expected = self.architecture.task.channels
        lq = planes.expand(expected, -1, -1)
        engine, routes, spent = self._routes(lq, allowed)
        row = 0
        for band in engine.bands(lq, routes, progress):
            rows = band if len(planes) == expected else band.mean(dim=0, keepdim=True)
            check_finite(rows, row)
            write_rows(result, n, channels, row, rows)
            row += rows.shape[1]
        return routes if spent is None else replace(routes, cost=int(sum(spent)))

    def _routes(self, lq: Tensor, allowed: Allowance) -> tuple[Engine, Routes, list[Tensor] | None]:
        """Select the engine and the routes of an image.

        The third value collects the costs of an adaptive network, which are known only after it has run; else None.
        """
        if self.architecture.classifier:
            k = self._limits.multiplier(allowed.loss, allowed.worst)
            return self._engine, self._engine.decide(lq, allowed.cost, k), None
        static = self._engine.given(lq, 0)
        if allowed.loss is None and (allowed.cost is None or allowed.cost >= static.cost):
            return self._engine, static, None
        alone = replace(self._engine, geometry=self._engine.geometry.alone).given(lq, 0)
        share = None if allowed.cost is None else allowed.cost / alone.cost
        number = self._limits.operating_point(share, allowed.loss)
        if static.cost <= self.settings[number].share * alone.cost:  # merged tiles overlap less and may be cheaper
            return self._engine, static, None
        engine, spent = adapting.adaptive_engine(self._adaptive_at(number), self._engine)
        return engine, alone, spent


def load(
    path: Path | str | None = None,
    *,
    device: str = "auto",
    runtime: str | Mapping[str, Any] | Runtime = engines.AUTO,
    registry: Registry | None = None,
    precision: Precision = "f32",
) -> Restorer:
    """Load a container or a single network from a weights file or an exported package.

    path: a file, the folder of a package, or the name of weights that a plugin ships, e.g. `sr-carn-x4`; None: the
    default of `lowvision restore`. device: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto` for the fastest; or several
    accelerators that restore each image together, `cuda:0,cuda:1`. runtime: its
    name, or with options as in recipes, e.g. `{"torch": {"batch": 256, "compile": True}}`; `auto`: the fastest
    installed one, measured once and cached. registry: the plugins; None: the installed ones.
    precision: `bf16` is faster on processors with instructions for it, and changes 8-bit values occasionally; `f16`
    is for accelerators, e.g. GPUs without bf16, and rounds less.
    Notices and progress messages go to the logger `lowvision`, level INFO.
    Raises WeightsError for a file that is missing, damaged, too new, or needs a missing plugin, RunError for a device
    or a runtime that is not available.
    """
    registry, (device, *others) = registry or plugin_registry.load(), devices.resolve_all(device)
    path = pretrained.default(registry) if path is None else pretrained.find(Path(path), registry)
    parts = package.read(path, registry) if path.is_dir() else trained_networks.read(path, registry)
    if not path.is_dir() and weights.is_foreign(path):
        logger.info("%s", weights_header.recognised(parts.header, registry))
    selected = engines.runtime_named(runtime, parts, registry, device, precision)
    if device == "cpu":
        keep_memory()

    @functools.cache
    def adaptive_at(number: int) -> Adaptive:
        if path.is_dir():
            raise UsageError(
                f"{path}: an exported package holds only the static graph of an adaptive network; omit budget and "
                "max_loss, or give the weights file that it was exported from"
            )
        network = parts.branches[-1].module().to(device).to(memory_format=devices.layout(device))
        parts.header.settings[number].apply(network)
        assert isinstance(network, Adaptive)
        return network

    return Restorer(
        architecture=parts.architecture,
        device=torch.device(device),
        runtime=registry.name_of(selected),
        curve=curves.read(parts.header.measured),
        settings=parts.header.settings,
        _adaptive_at=adaptive_at,
        base_alone=functools.cache(lambda: selected.prepare(parts.branches[-1], 1, device)),
        _engine=engines.build(parts, selected, device, *others),
    )


def _restored(
    image: Kind, routed: list[Routes], batched: bool, branches: int, base_cost: int, seconds: float
) -> Restored[Kind]:
    """Sum up the routes of a batch."""
    choice = torch.stack([routes.choice for routes in routed])
    tiling = routed[0].tiling
    grid = choice.unflatten(1, (len(tiling.tops), len(tiling.lefts)))  # (B, rows, columns)
    return Restored(
        image=image,
        choice=(grid if batched else grid[0]).numpy(),
        tiling=tiling,
        tiles=tuple(choice.flatten().bincount(minlength=branches).tolist()),
        cost=sum(routes.cost for routes in routed),
        base_cost=base_cost,
        seconds=seconds,
    )


def _part(progress: Watch | None, n: int, parts: int) -> Watch | None:
    """Return a callback that reports the tiles of image n as a part of all images."""
    return progress and (lambda done, total: progress(n * total + done, parts * total))
