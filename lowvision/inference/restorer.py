"""Restore images with the networks of a weights file: arrays or tensors, grey or RGB, with or without alpha."""

from __future__ import annotations

import functools
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowvision.errors import DataError, RunError, UsageError
from lowvision.imaging import alpha as hidden_colour
from lowvision.imaging import io
from lowvision.imaging.io import Pixels
from lowvision.imaging.resize import resize
from lowvision.inference import engines, package, route_map, trained_networks
from lowvision.inference.image_arrays import Kind, empty_result, to_planes, write_rows
from lowvision.models import calibration as curves
from lowvision.models import operating_points, pretrained, weights
from lowvision.models.architecture import Architecture
from lowvision.models.calibration import SPEEDS, Curve, Speed
from lowvision.models.operating_points import OperatingPoint
from lowvision.plugins import registry as plugin_registry
from lowvision.plugins.contracts import Adaptive, Precision, Runtime
from lowvision.plugins.registry import Registry
from lowvision.routing import adapting
from lowvision.routing.engine import Engine, Routes, Watch
from lowvision.routing.tiling import Plan, unit
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
    plan: Plan
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


@dataclass(frozen=True)
class Limits:
    """What the routes of an image must keep."""

    cost: int | None
    """Multiply-adds; None: no limit."""
    loss: float | None
    """Loss of PSNR in dB by the curve; None: no limit."""
    worst: float | None
    """Loss in dB of all but one percent of the tiles, by the curve; None: no limit."""


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
        if worst is not None:
            self._check_worst(budget, max_loss, speed, worst)
        limits = [limit for limit in (budget, max_loss, speed) if limit is not None]
        if not limits:
            return
        if len(limits) > 1:
            raise UsageError("budget, max_loss and speed exclude each other; give one of them")
        if speed is not None and speed not in SPEEDS:
            raise UsageError(f"speed must be one of {', '.join(SPEEDS)}; got {speed}")
        if speed == "best" and self.architecture.classifier is None:
            return  # the network as it is
        max_loss = SPEEDS[speed] if speed else max_loss
        if budget is not None and not 0 < budget < math.inf:
            raise UsageError(f"budget must be a positive fraction of the base cost, e.g. 0.6; got {budget:g}")
        if self.architecture.classifier is None:
            self._check_operating_point(max_loss)
        elif max_loss is not None:
            self._multiplier(max_loss)

    def _check_worst(self, budget: float | None, max_loss: float | None, speed: Speed | None, worst: float) -> None:
        """Raise UsageError if the network cannot keep a loss of its worst tiles."""
        if budget is not None:
            raise UsageError("budget and worst exclude each other; give one of them")
        if self.architecture.classifier is None:
            raise UsageError("a single network has no curve of the losses of tiles; omit worst, or take a container")
        self._multiplier_within(Limits(None, self._loss_limit(None, max_loss, speed), worst))

    def _multiplier_within(self, limits: Limits) -> float:
        """Return the k of the cheapest point within both losses; 0 without such limits. Raises UsageError."""
        if limits.loss is None and limits.worst is None:
            return 0.0
        return self._multiplier(math.inf if limits.loss is None else limits.loss, limits.worst)

    def _loss_limit(self, budget: float | None, max_loss: float | None, speed: Speed | None) -> float | None:
        """Return the loss of PSNR in dB that an image may have; None: no limit by loss."""
        if speed:
            return SPEEDS[speed] if self.architecture.classifier or speed != "best" else None
        if budget is None and max_loss is None and self.curve and min(self.curve.losses) <= SPEEDS["balanced"]:
            return SPEEDS["balanced"]
        return max_loss

    def _check_operating_point(self, max_loss: float | None) -> None:
        """Raise UsageError if a single network has no operating points, or none for that loss."""
        if self.settings:
            self._adaptive_at(0 if max_loss is None else self._number_for_loss(max_loss))
        elif self._is_adaptive():
            raise UsageError(
                "these weights are of an adaptive network but have no operating points; take those that the stage "
                "calibrate of a recipe wrote: runs/NAME/calibrate/network.safetensors"
            )
        else:
            raise UsageError("a single network has no cheaper branch; omit budget and max_loss, or take a container")

    def _is_adaptive(self) -> bool:
        with torch.device("meta"):
            return isinstance(self.architecture.build_network(), Adaptive)

    def _number_for_loss(self, max_loss: float) -> int:
        """Return the number of the cheapest operating point within a loss in dB. Raises UsageError if there is none."""
        try:
            return operating_points.losing(self.settings, max_loss)
        except ValueError as error:
            raise UsageError(f"a loss of at most {max_loss:g} dB cannot be kept: {error}") from None

    def _multiplier(self, max_loss: float, worst: float | None = None) -> float:
        """Return the k of the cheapest point of the curve within losses in dB. Raises UsageError if there is none."""
        if self.curve is None:
            raise UsageError(
                "these weights have no curve of PSNR against cost; give a budget instead, or take the container "
                "that the stage calibrate of a recipe wrote: runs/NAME/calibrate/container.safetensors"
            )
        try:
            return self.curve.k[self.curve.point(max_loss, worst)]
        except ValueError as error:
            tiles = "" if worst is None else f" ({worst:g} dB on the worst tiles)"
            raise UsageError(f"a loss of at most {max_loss:g} dB{tiles} cannot be kept: {error}") from None

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
        worst: limit on the loss in dB of all but one percent of the tiles, besides that on the mean.
        restores_alpha: the network restores alpha too, as a grey image; otherwise alpha is resampled bicubically.

        A single adaptive network runs at one of `settings`, always by PyTorch, tile by tile: the most expensive
        operating point within the budget, or the cheapest within the loss, as measured by the stage `calibrate`. A
        single image may cost more.

        Raises DataError for pixels that are not finite, or for colour if the network restores grey only, RunError if
        the network gives NaN or infinite values,
        LowvisionError for a budget that cannot be kept, TypeError and ValueError for an unsupported image.
        """
        self.check_budget(budget, max_loss, speed, worst)
        loss_limit = self._loss_limit(budget, max_loss, speed)
        planes, batched = to_planes(image), isinstance(image, Tensor) and image.ndim == 4  # planes: (B, C, H, W)
        height, width = planes.shape[2:]
        base_cost = engines.base_cost(self.architecture, height, width)  # counted before the timer starts
        limits = Limits(None if budget is None else int(budget * base_cost), loss_limit, worst)
        began = time.perf_counter()
        result = empty_result(image, self.scale, pinned=self.device.type == "cuda")
        planes = self._engine.on_device(planes)
        routed = [
            self._restore_one(lq, result, n, limits, restores_alpha, _part(progress, n, len(planes)))
            for n, lq in enumerate(planes)
        ]
        devices.synchronize(self.device)
        seconds = time.perf_counter() - began

        choice = torch.stack([routes.choice for routes in routed])
        tiling = routed[0].plan
        grid = choice.unflatten(1, (len(tiling.tops), len(tiling.lefts)))  # (B, rows, columns)
        return Restored(
            image=result,
            choice=(grid if batched else grid[0]).numpy(),
            plan=tiling,
            tiles=tuple(choice.flatten().bincount(minlength=len(self.architecture.branches)).tolist()),
            cost=sum(routes.cost for routes in routed),
            base_cost=len(planes) * base_cost,
            seconds=seconds,
        )

    def route_map(self, image: Pixels, restored: Restored[Any]) -> NDArray[np.uint8]:
        """Draw the branch of each tile over the input image (H,W,C): (H+legend,>=W,3)."""
        choice = torch.from_numpy(restored.choice).flatten()
        branches = len(self.architecture.branches)
        return io.to_uint8(route_map.overlay(io.to_tensor(image)[:3], choice, restored.plan, 1, branches))

    def _restore_one(
        self,
        planes: Tensor,
        result: Any,
        n: int,
        limits: Limits,
        restores_alpha: bool,
        progress: Watch | None,
    ) -> Routes:
        """Restore one image (C,H,W), on any device, into image n of the result; C is 1, 3 or 4 in both."""
        colour, alpha = planes[:3], planes[3:]
        if len(alpha):
            colour = _visible_colour(planes)
        if len(colour) > self.architecture.task.channels:
            raise DataError(
                "is in colour, but these weights restore grey images; convert it to grey, or take weights for RGB"
            )
        routes = self._run(colour, result, n, slice(0, len(colour)), limits, progress)
        if len(alpha) and restores_alpha:
            more = self._run(alpha, result, n, slice(3, 4), limits, None)
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
        limits: Limits,
        progress: Watch | None,
    ) -> Routes:
        """Run the networks on planes (1 or 3,H,W) and write the bands into channels of image n of the result."""
        expected = self.architecture.task.channels
        lq = planes.expand(expected, -1, -1)
        engine, routes, spent = self._routes(lq, limits)
        row = 0
        for band in engine.bands(lq, routes, progress):
            rows = band if len(planes) == expected else band.mean(dim=0, keepdim=True)
            _check_finite(rows, row)
            write_rows(result, n, channels, row, rows)
            row += rows.shape[1]
        return routes if spent is None else replace(routes, cost=int(sum(spent)))

    def _routes(self, lq: Tensor, limits: Limits) -> tuple[Engine, Routes, list[Tensor] | None]:
        """Select the engine and the routes of an image.

        The third value collects the costs of an adaptive network, which are known only after it has run; else None.
        """
        if self.architecture.classifier:
            k = self._multiplier_within(limits)
            return self._engine, self._engine.decide(lq, limits.cost, k), None
        static = self._engine.given(lq, 0)
        if limits.loss is None and (limits.cost is None or limits.cost >= static.cost):
            return self._engine, static, None
        alone = replace(self._engine, geometry=self._engine.geometry.alone).given(lq, 0)
        number = (
            operating_points.within(self.settings, limits.cost / alone.cost)
            if limits.cost is not None
            else self._number_for_loss(limits.loss or 0)
        )
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
    default of `lowvision restore`. device: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto` for the fastest. runtime: its
    name, or with options as in recipes, e.g. `{"torch": {"batch": 256, "compile": True}}`; `auto`: the fastest
    installed one, measured once and cached. registry: the plugins; None: the installed ones.
    precision: `bf16` is faster on processors with instructions for it, and changes 8-bit values occasionally; `f16`
    is for accelerators, e.g. GPUs without bf16, and rounds less.
    Notices and progress messages go to the logger `lowvision`, level INFO.
    Raises WeightsError for a file that is missing, damaged, too new, or needs a missing plugin, RunError for a device
    or a runtime that is not available.
    """
    registry, device = registry or plugin_registry.load(), devices.resolve(device)
    path = pretrained.default(registry) if path is None else pretrained.find(Path(path), registry)
    parts = package.read(path, registry) if path.is_dir() else trained_networks.read(path, registry)
    if not path.is_dir() and weights.is_foreign(path):
        logger.info("%s", weights.recognised(parts.header, registry))
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
        _engine=engines.build(parts, selected, device),
    )


def _visible_colour(planes: Tensor) -> Tensor:
    """Return the colour (3,H,W) of RGBA planes (4,H,W), without the colour that is hidden below alpha 0."""
    if bool((planes[3] != 0).all()):
        return planes[:3]
    pixels = hidden_colour.bled(planes.permute(1, 2, 0).cpu().numpy())
    return torch.from_numpy(pixels).permute(2, 0, 1)[:3].to(planes.device)


def _check_finite(rows: Tensor, first: int) -> None:
    """Raise RunError if restored rows (C,h,w) hold values that are not finite; `first`: number of the first row."""
    finite = rows.isfinite()
    if not bool(finite.all()):
        _, row, column = (~finite).nonzero()[0].tolist()
        raise RunError(
            f"the network gave NaN or infinite values, first at row {first + row}, column {column} of the result; "
            "try --precision f32, another --runtime, or other weights"
        )


def _part(progress: Watch | None, n: int, parts: int) -> Watch | None:
    """Return a callback that reports the tiles of image n as a part of all images."""
    return progress and (lambda done, total: progress(n * total + done, parts * total))
