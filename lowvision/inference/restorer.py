"""A network from a weights file, ready to restore images: arrays or tensors, grey or RGB, with alpha or without."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowvision.errors import DataError, UsageError
from lowvision.imaging import io
from lowvision.imaging.io import Pixels
from lowvision.imaging.resize import resize
from lowvision.inference import engines, package, route_map, trained_networks
from lowvision.models import calibration as curves
from lowvision.models import operating_points, pretrained, weights
from lowvision.models.architecture import Architecture
from lowvision.models.calibration import Curve
from lowvision.models.operating_points import OperatingPoint
from lowvision.plugins import registry
from lowvision.plugins.contracts import Adaptive, Precision
from lowvision.plugins.registry import Registry
from lowvision.routing import adapting, engine
from lowvision.routing.engine import Engine, Routes, Watch
from lowvision.routing.tiling import Plan, unit
from lowvision.system import devices
from lowvision.system.allocator import keep_memory

Kind = TypeVar("Kind", NDArray[Any], Tensor)
"""An image as the caller holds it."""
DTYPES = (np.uint8, np.uint16, np.float32)


@dataclass(frozen=True, eq=False)
class Restored(Generic[Kind]):
    """A restored image, and how it came about."""

    image: Kind
    """Of the kind that was given, `scale` times as high and wide."""
    choice: NDArray[np.int64]
    """(rows, columns) the branch that restored each tile; (B, rows, columns) for a batch."""
    plan: Plan
    """Where the tiles lie, in pixels of the input."""
    tiles: tuple[int, ...]
    """How many tiles went to each branch."""
    cost: int
    """Multiply-adds that were spent: branches, overlap and classifier."""
    base_cost: int
    """Multiply-adds of the base, the last branch, on the whole image: what a user would otherwise spend."""
    seconds: float
    """From the given image to the restored one."""

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of tiles that went to each branch."""
        return tuple(count / sum(self.tiles) for count in self.tiles)

    @property
    def share_of_base(self) -> float:
        """The cost relative to the base on the whole image; above 1 where overlap costs more than routing saves."""
        return self.cost / self.base_cost


@dataclass(frozen=True, eq=False)
class Restorer:
    """Restores images of any size; made by `load`."""

    architecture: Architecture
    """What the network is."""
    device: torch.device
    """Where it works."""
    runtime: str
    """The name of what runs its networks."""
    curve: Curve | None
    """PSNR against cost, where the stage `calibrate` measured it."""
    settings: tuple[OperatingPoint, ...]
    """What a single network that decides by itself may be set to, where the stage `calibrate` found it."""
    _set_to: Callable[[int], Adaptive]
    """That network, set to the setting of that number."""
    _engine: Engine
    """Runs the branches; the classifier of a single network is never asked."""

    @property
    def scale(self) -> int:
        """Size of a result divided by the size of its image."""
        return self.architecture.task.scale

    def check_budget(self, budget: float | None, max_loss: float | None = None) -> None:
        """Raises UsageError where this network cannot keep to a budget, or does not know what a loss would cost."""
        if budget is None and max_loss is None:
            return
        if budget is not None and max_loss is not None:
            raise UsageError("a budget and a largest loss are two ways to say one thing; give one of them")
        if budget is not None and not 0 < budget < math.inf:
            raise UsageError(f"a budget of {budget:g} is no share of a cost; give a share of the base's cost, as 0.6")
        if self.architecture.classifier is None:
            self._check_setting(max_loss)
        elif max_loss is not None:
            self._knob(max_loss)

    def _check_setting(self, max_loss: float | None) -> None:
        """Raises UsageError where a single network cannot be set, or not to that loss."""
        if self.settings:
            self._set_to(0 if max_loss is None else self._losing(max_loss))
        elif self._decides():
            raise UsageError(
                "this network decides by itself what it computes, but its file has no budgets; take one that a "
                "recipe's stage calibrate left: runs/NAME/calibrate/network.safetensors"
            )
        else:
            raise UsageError("a single network has no cheaper branch; leave budget or loss out, or take a container")

    def _decides(self) -> bool:
        with torch.device("meta"):
            return isinstance(self.architecture.build_network(), Adaptive)

    def _losing(self, max_loss: float) -> int:
        """The number of the cheapest setting that loses so many dB, at most. Raises UsageError where there is none."""
        try:
            return operating_points.losing(self.settings, max_loss)
        except ValueError as error:
            raise UsageError(f"a loss of at most {max_loss:g} dB cannot be kept: {error}") from None

    def _knob(self, max_loss: float) -> float:
        """The k at which so many dB were lost, at most. Raises UsageError where none is known."""
        if self.curve is None:
            raise UsageError(
                "these weights do not know what a loss of PSNR saves; give a budget instead, or take a container that "
                "a recipe's stage calibrate left: runs/NAME/calibrate/container.safetensors"
            )
        try:
            return self.curve.k[self.curve.point(max_loss)]
        except ValueError as error:
            raise UsageError(f"a loss of at most {max_loss:g} dB cannot be kept: {error}") from None

    def restore(
        self, image: Kind, budget: float | None = None, watch: Watch | None = None, max_loss: float | None = None
    ) -> Restored[Kind]:
        """Restore an image; the result is of the same kind, dtype and channels, and on the same device.

        image: an array (H,W,C), uint8, uint16 or float32 nominally in [0,1]; or a floating tensor (C,H,W) or
        (B,C,H,W) nominally in [0,1]. C is 1 (grey), 3 (RGB, in this order) or 4 (RGB and straight alpha). Integers
        are clamped and rounded, floats left as the network makes them. A network for RGB sees grey three times and
        its answers are averaged. Alpha is not restored but resampled bicubically.
        budget: the share of the base's cost that may be spent; None: what the classifier finds best.
        watch: is called with (tiles done, tiles in all).
        max_loss: dB of PSNR that may be lost against the base on every tile, in the mean over the photographs that
        `curve` was measured on; the cheapest point of the curve that kept to it is taken. One image may lose more.
        A single network that decides by itself is set to one of `settings`, and then run by PyTorch, tile by tile,
        whatever the runtime: the dearest that keeps to the budget, or the cheapest that keeps to the loss, on the tiles
        that it was found on. One image may cost more.

        Raises DataError for pixels that are not finite and for colour where the network restores grey alone,
        LowvisionError for a budget that cannot be kept, TypeError and ValueError for what is no such image.
        """
        self.check_budget(budget, max_loss)
        planes, batched = _planes(image), isinstance(image, Tensor) and image.ndim == 4  # planes: (B, C, H, W)
        height, width = planes.shape[2:]
        base_cost = engines.base_cost(self.architecture, height, width)  # counted here, so that it is not timed
        most = None if budget is None else int(budget * base_cost)
        began = time.perf_counter()
        made = _empty_like(image, self.scale)
        routed = [self._one(one, made, n, most, max_loss, _part(watch, n, len(planes))) for n, one in enumerate(planes)]
        if torch.accelerator.is_available():
            torch.accelerator.synchronize()
        seconds = time.perf_counter() - began

        choice = torch.stack([one.choice for one in routed])
        where = routed[0].plan
        grid = choice.unflatten(1, (len(where.tops), len(where.lefts)))  # (B, rows, columns)
        return Restored(
            image=made,
            choice=(grid if batched else grid[0]).numpy(),
            plan=where,
            tiles=tuple(choice.flatten().bincount(minlength=len(self.architecture.branches)).tolist()),
            cost=sum(one.cost for one in routed),
            base_cost=len(planes) * base_cost,
            seconds=seconds,
        )

    def route_map(self, image: Pixels, restored: Restored[Any]) -> NDArray[np.uint8]:
        """The image (H,W,C) that was given, its tiles in the colours of their branches: (H+legend,>=W,3)."""
        choice = torch.from_numpy(restored.choice).flatten()
        seen = engine.Restored(io.to_tensor(image)[:3], choice, restored.cost, restored.plan)
        return io.to_uint8(route_map.overlay(seen, 1, len(self.architecture.branches)))

    def _one(
        self, planes: Tensor, made: Any, n: int, most: int | None, max_loss: float | None, watch: Watch | None
    ) -> Routes:
        """Restore one image (C,H,W), on any device, into the nth of what is being made; C 1, 3 or 4 in and out."""
        colour, alpha = planes[:3], planes[3:]
        channels = self.architecture.task.channels
        if len(colour) > channels:
            raise DataError("is in colour, but these weights restore grey images; convert it, or take weights for RGB")
        lq = colour.expand(channels, -1, -1)
        chosen, routes, spent = self._chosen(lq, most, max_loss)
        row = 0
        for band in chosen.bands(lq, routes, watch):
            rows = band if len(colour) == channels else band.mean(dim=0, keepdim=True)
            _put(made, n, slice(0, len(colour)), row, rows)
            row += rows.shape[1]
        if len(alpha):
            size = (self.scale * planes.shape[1], self.scale * planes.shape[2])
            _put(made, n, slice(3, 4), 0, resize(unit(alpha), size).clamp(0, 1))
        return routes if spent is None else replace(routes, cost=int(sum(spent)))

    def _chosen(
        self, lq: Tensor, most: int | None, max_loss: float | None
    ) -> tuple[Engine, Routes, list[Tensor] | None]:
        """What restores an image, and how; and what will be told there of the cost, where it is not known before."""
        if self.architecture.classifier:
            k = 0.0 if max_loss is None else self._knob(max_loss)
            return self._engine, self._engine.decide(lq, most, k), None
        static = self._engine.given(lq, 0)
        if max_loss is None and (most is None or most >= static.cost):
            return self._engine, static, None
        alone = replace(self._engine, geometry=self._engine.geometry.alone).given(lq, 0)
        number = (
            operating_points.within(self.settings, most / alone.cost)
            if most is not None
            else self._losing(max_loss or 0)
        )
        if static.cost <= self.settings[number].share * alone.cost:  # merged tiles, which overlap less, may be cheaper
            return self._engine, static, None
        chosen, spent = adapting.adaptive_engine(self._set_to(number), self._engine)
        return chosen, alone, spent


def load(
    path: Path | str | None = None,
    device: str = "auto",
    runtime: str = engines.AUTO,
    known: Registry | None = None,
    precision: Precision = "f32",
) -> Restorer:
    """The container, or the single network, in a weights file or in an exported package, ready for use.

    path: a file, a package's folder, or the name of weights that a plugin carries, as `sr-carn-x4`; None: those that
    `lowvision restore` takes unless told. device: `cpu`, `cuda`, `mps`, or `auto` for the fastest there is. runtime:
    what runs the networks, by its name; `auto`: the fastest that is installed, by a measurement that is kept. known:
    the plugins; None: those installed. precision: `bf16` is faster where there are instructions for it, and changes an
    8-bit value now and then.
    Raises WeightsError for a file that is absent, damaged, too new, or needs a plugin that is missing, RunError for a
    device or a runtime that is not there.
    """
    known, place = known or registry.load(), devices.choose(device)
    path = pretrained.default(known) if path is None else pretrained.find(Path(path), known)
    parts = package.read(path, known) if path.is_dir() else trained_networks.read(path, known)
    if not path.is_dir() and weights.is_foreign(path):
        trained_networks.tell(weights.recognised(parts.header, known))
    chosen = engines.runtime_named(runtime, parts, known, place, precision)
    if place == "cpu":
        keep_memory()

    @functools.cache
    def set_to(number: int) -> Adaptive:
        if path.is_dir():
            raise UsageError(
                f"{path}: this network decides by itself what it computes, and an exported package holds its static "
                "graph alone; leave budget or loss out, or give the weights file that it was exported from"
            )
        network = parts.branches[-1].module().to(place).to(memory_format=torch.channels_last)
        parts.header.settings[number].apply(network)
        assert isinstance(network, Adaptive)
        return network

    return Restorer(
        architecture=parts.architecture,
        device=torch.device(place),
        runtime=known.name_of(chosen),
        curve=curves.read(parts.header.measured),
        settings=parts.header.settings,
        _set_to=set_to,
        _engine=engines.build(parts, chosen, place),
    )


def _planes(image: NDArray[Any] | Tensor) -> Tensor:
    """Any image that `restore` takes as (B,C,H,W), its numbers as they are."""
    if isinstance(image, Tensor):
        if not image.is_floating_point():
            raise TypeError(f"a tensor must be floating, in [0,1], not {image.dtype}; or give an array of integers")
        planes = image.detach().float()
        planes = planes if planes.ndim == 4 else planes[None]
    else:
        if image.dtype not in DTYPES:
            raise TypeError(f"an array must be uint8, uint16 or float32, not {image.dtype}")
        if image.ndim != 3:
            raise ValueError(f"an array must be (H,W,C), not {image.shape}; grey is (H,W,1)")
        planes = torch.from_numpy(np.require(image, requirements=["C", "W"])).permute(2, 0, 1)[None]
    if planes.ndim != 4 or planes.shape[1] not in (1, 3, 4) or not planes.numel():
        raise ValueError(f"{tuple(image.shape)} is no image: C must be 1, 3 or 4, and every side at least 1")
    if planes.is_floating_point() and not planes.isfinite().all():
        raise DataError("has pixels that are NaN or infinite; set them to numbers first")
    return planes


def _empty_like(image: Kind, scale: int) -> Kind:
    """What a result of that kind is written into."""
    if isinstance(image, Tensor):
        return image.new_empty(*image.shape[:-2], *(scale * side for side in image.shape[-2:]))
    height, width, channels = image.shape
    return np.empty((scale * height, scale * width, channels), image.dtype)


def _put(made: NDArray[Any] | Tensor, n: int, channels: slice, row: int, rows: Tensor) -> None:
    """Write restored rows (c,h,w) into some channels of the nth image of a result, from that row on."""
    if isinstance(made, Tensor):
        (made if made.ndim == 4 else made[None])[n, channels, row : row + rows.shape[1]] = rows
    else:
        made[row : row + rows.shape[1], :, channels] = io.to_pixels(rows, made.dtype)


def _part(watch: Watch | None, n: int, parts: int) -> Watch | None:
    """Tell the tiles of one of several equally large images as a part of all."""
    return watch and (lambda done, total: watch(n * total + done, parts * total))
