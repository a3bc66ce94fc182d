"""A network from a weights file, ready to restore images: arrays or tensors, grey or RGB, with alpha or without."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lowvision import devices, images, maps, registry, weights
from lowvision.architecture import Architecture
from lowvision.errors import DataError, LowvisionError
from lowvision.images import Pixels
from lowvision.registry import Registry
from lowvision.resizing import resize
from lowvision.routing import cost, engine, networks
from lowvision.routing.container import RoutedContainer
from lowvision.routing.engine import Engine
from lowvision.routing.tiling import Plan

Kind = TypeVar("Kind", NDArray[Any], Tensor)
"""An image as the caller holds it."""
Watch = Callable[[int, int], None]
"""Is told how many tiles are done, and of how many."""
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
    _container: RoutedContainer
    """Its branches; the classifier of a single network is never asked."""
    _base_costs: dict[tuple[int, int], int] = field(default_factory=dict, repr=False)
    """Multiply-adds of the base by the height and width of an image."""

    @property
    def scale(self) -> int:
        """Size of a result divided by the size of its image."""
        return self.architecture.task.scale

    def check_budget(self, budget: float | None) -> None:
        """Raises LowvisionError where this network cannot keep to a budget."""
        if budget is not None:
            raise LowvisionError("a budget cannot be asked for yet; leave it out: the classifier alone then decides")

    def restore(self, image: Kind, budget: float | None = None, watch: Watch | None = None) -> Restored[Kind]:
        """Restore an image; the result is of the same kind, dtype and channels, and on the same device.

        image: an array (H,W,C), uint8, uint16 or float32 nominally in [0,1]; or a floating tensor (C,H,W) or
        (B,C,H,W) nominally in [0,1]. C is 1 (grey), 3 (RGB, in this order) or 4 (RGB and straight alpha). Integers
        are clamped and rounded, floats left as the network makes them. A network for RGB sees grey three times and
        its answers are averaged. Alpha is not restored but resampled bicubically.
        budget: the share of the base's cost that may be spent; None: what the classifier finds best.
        watch: is called with (tiles done, tiles in all).

        Raises DataError for pixels that are not finite and for colour where the network restores grey alone,
        LowvisionError for a budget that cannot be kept, TypeError and ValueError for what is no such image.
        """
        self.check_budget(budget)
        lq = _batch(image)  # (B, C, H, W)
        height, width = lq.shape[2:]
        base_cost = len(lq) * self._base_cost(height, width)  # counted here, so that the count is not timed
        began = time.perf_counter()
        routed = [self._one(planes, _part(watch, n, len(lq))) for n, planes in enumerate(lq)]
        restored = _like(image, [one.image for one in routed])
        if torch.accelerator.is_available():
            torch.accelerator.synchronize()
        seconds = time.perf_counter() - began

        choice = torch.stack([one.choice for one in routed]).cpu()
        where = routed[0].plan
        grid = choice.unflatten(1, (len(where.tops), len(where.lefts)))  # (B, rows, columns)
        return Restored(
            image=restored,
            choice=(grid if isinstance(image, Tensor) and image.ndim == 4 else grid[0]).numpy(),
            plan=where,
            tiles=tuple(choice.flatten().bincount(minlength=len(self._container.branches)).tolist()),
            cost=sum(one.cost for one in routed),
            base_cost=base_cost,
            seconds=seconds,
        )

    def route_map(self, image: Pixels, restored: Restored[Any]) -> NDArray[np.uint8]:
        """The image (H,W,C) that was given, its tiles in the colours of their branches: (H+legend,>=W,3)."""
        choice = torch.from_numpy(restored.choice).flatten()
        seen = engine.Restored(images.to_tensor(image)[:3], choice, restored.cost, restored.plan)
        return images.to_uint8(maps.overlay(seen, 1, len(self._container.branches)))

    def _one(self, lq: Tensor, watch: Watch | None) -> engine.Restored:
        """Restore lq (C,H,W) in float32, on any device; C 1, 3 or 4 in and out."""
        colour, alpha = lq[:3], lq[3:]
        channels = self.architecture.task.channels
        if len(colour) > channels:
            raise DataError("is in colour, but these weights restore grey images; convert it, or take weights for RGB")
        routed = self._routed(colour.expand(channels, -1, -1).to(self.device), watch)
        image = routed.image if len(colour) == channels else routed.image.mean(dim=0, keepdim=True)
        if len(alpha):
            size = (image.shape[1], image.shape[2])
            image = torch.cat([image, resize(alpha, size).clamp(0, 1).to(image.device)])
        return engine.Restored(image, routed.choice, routed.cost, routed.plan)

    def _routed(self, lq: Tensor, watch: Watch | None) -> engine.Restored:
        """Restore lq (C,H,W), C and device the network's. All that is asked of the engine is asked here."""
        tile = self.architecture.tile
        routing = Engine(networks.of(self._container), self.scale, tile.size, tile.overlap)
        routed = routing.route(lq) if self.architecture.classifier else routing.restore(lq, 0)
        if watch:
            watch(routed.plan.count, routed.plan.count)
        return routed

    def _base_cost(self, height: int, width: int) -> int:
        if (height, width) not in self._base_costs:
            task, step = self.architecture.task, self.architecture.branches[-1].multiple_of
            shape = (1, task.channels, *(-(-side // step) * step for side in (height, width)))
            network = self._container.branches.networks[-1]
            self._base_costs[height, width] = cost.multiply_adds(network, shape)
        return self._base_costs[height, width]


def load(path: Path | str, device: str = "auto", known: Registry | None = None) -> Restorer:
    """The container, or the single network, in a weights file, ready for use.

    device: `cpu`, `cuda`, `mps`, or `auto` for the fastest there is. known: the plugins; None: those installed.
    Raises WeightsError for a file that is damaged, too new, or needs a plugin that is missing, RunError for a device.
    """
    path, known = Path(path), known or registry.load()
    architecture = weights.read_header(path, known).architecture
    if architecture.classifier:
        container = weights.load_container(path, architecture, known)
    else:
        container = RoutedContainer(nn.Identity(), [weights.load_network(path, architecture, known)])
    place = torch.device(devices.choose(device))
    return Restorer(architecture, place, container.to(memory_format=torch.channels_last).to(place).eval())


def _batch(image: NDArray[Any] | Tensor) -> Tensor:
    """Any image that `restore` takes as float32 (B,C,H,W)."""
    if isinstance(image, Tensor):
        if not image.is_floating_point():
            raise TypeError(f"a tensor must be floating, in [0,1], not {image.dtype}; or give an array of integers")
        lq = image.detach().float()
        lq = lq if lq.ndim == 4 else lq[None]
    else:
        if image.dtype not in DTYPES:
            raise TypeError(f"an array must be uint8, uint16 or float32, not {image.dtype}")
        if image.ndim != 3:
            raise ValueError(f"an array must be (H,W,C), not {image.shape}; grey is (H,W,1)")
        lq = images.to_tensor(image)[None]
    if lq.ndim != 4 or lq.shape[1] not in (1, 3, 4) or not lq.numel():
        raise ValueError(f"{tuple(image.shape)} is no image: C must be 1, 3 or 4, and every side at least 1")
    if not lq.isfinite().all():
        raise DataError("has pixels that are NaN or infinite; set them to numbers first")
    return lq


def _like(image: Kind, made: list[Tensor]) -> Kind:
    """Restored images (C,H,W) as the kind of the given one."""
    if not isinstance(image, Tensor):
        return images.to_pixels(made[0], image.dtype)
    batch = torch.stack(made).to(image.device, image.dtype)
    return batch if image.ndim == 4 else batch[0]


def _part(watch: Watch | None, n: int, parts: int) -> Watch | None:
    """Tell the tiles of one of several equally large images as a part of all."""
    return watch and (lambda done, total: watch(n * total + done, parts * total))
