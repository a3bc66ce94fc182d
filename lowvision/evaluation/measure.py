"""Measures a container on photographs: quality, exact cost and seconds of every way to restore them."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lowvision.data.photographs import Photograph, lq_of
from lowvision.imaging import io
from lowvision.imaging.metrics import measure
from lowvision.plugins.contracts import Adaptive, Task
from lowvision.routing import cost, oracle
from lowvision.routing.adapting import adapt
from lowvision.routing.engine import Engine, Restored
from lowvision.routing.tiling import suiting

Row = dict[str, Any]
"""What was measured of one way to restore one image, by name."""
Restore = Callable[[], "Restored | Whole"]
"""One way to restore an image; it may need what the ways before it made."""


@dataclass(frozen=True)
class Whole:
    """An image that one network restored."""

    image: Tensor
    """(C,s*H,s*W)."""
    cost: int
    """Multiply-adds."""


@dataclass(frozen=True)
class Rival:
    """The container's branches under another classifier."""

    about: str
    """What it is, in a line."""
    engine: Engine


@dataclass(frozen=True)
class Seen:
    """One image after evaluation."""

    name: str
    lq: Tensor
    """(C,h,w)."""
    images: Mapping[str, Tensor]
    """Each way's result, (C,s*h,s*w)."""
    gt: Tensor
    """(C,s*h,s*w)."""
    routed: Restored | None
    """How the routed one came about."""
    rows: Mapping[str, Row]
    """What was measured of each way."""


@dataclass(frozen=True)
class Evaluation:
    """Ways to restore an image, and how to measure them: bicubic or noisy input, the base, routed, and controls.

    All but those at a budget work tile by tile, as the paper does.
    """

    task: Task
    base: nn.Module
    """The network that a user would otherwise run."""
    engine: Engine | None
    """Runs the container; None where only the base was trained."""
    base_engine: Engine
    """Runs the base on tiles."""
    seed: int
    device: torch.device
    rivals: Mapping[str, Rival] | None = None
    """By name, to be measured at the cost of the container's own classifier, and beside an oracle; None: none are."""
    merging: Engine | None = None
    """Runs the container as restoring does, neighbouring tiles of one branch merged: for budgets."""
    budgets: tuple[float, ...] = ()
    """Shares of the base's cost on the whole image."""
    adaptive: Mapping[str, Adaptive] = field(default_factory=dict)
    """The base where it decides by itself how much to compute, in every setting that is measured, by the way's name."""

    def spending(self, budgets: Sequence[float], lq: Tensor, gt: Tensor) -> Evaluation:
        """Measures the adaptive base set to each budget as well; it is set on tiles (N,C,h,w), (N,C,s*h,s*w)."""
        adaptive = dict(self.adaptive)
        for budget in budgets:
            adaptive[f"adaptive@{budget:g}"] = network = copy.deepcopy(self.adaptive["adaptive"])
            network.set_budget(budget, lq.to(self.device), gt.to(self.device))
        return replace(self, adaptive=adaptive)

    def warm_up(self) -> None:
        """Run everything once, so that the first image's seconds are like the others'."""
        tile = torch.zeros(self.task.channels, self.base_engine.size, self.base_engine.size, device=self.device)
        size = (tile.shape[0], *(self.task.scale * side for side in tile.shape[1:]))
        made: dict[str, Restored | Whole] = {}
        for way, restore in self._ways(tile, torch.zeros(size), self.seed, made).items():
            made[way] = restore()

    def see(self, photograph: Photograph, number: int) -> Seen:
        """Restore one photograph in every way; its noise and its random routing follow from its number in the set."""
        seed = self.seed + number
        lq = lq_of(photograph, self.task, seed).to(self.device)
        gt = io.to_tensor(photograph.gt)
        seen: dict[str, Tensor] = {"input": self.task.baseline(lq[None])[0].cpu()}
        rows: dict[str, Row] = {"input": self._quality(seen["input"], gt)}
        made: dict[str, Restored | Whole] = {}
        for way, restore in self._ways(lq, gt, seed, made).items():
            made[way], seconds = _timed(restore)
            seen[way] = made[way].image.cpu()
            rows[way] = {**self._quality(seen[way], gt), "seconds": seconds, "gmac": made[way].cost / 1e9}
            if self._chooses(way):
                assert self.engine
                rows[way]["shares"] = list(made[way].shares(len(self.engine.networks.branches)))  # type: ignore[union-attr]  # not the whole image
        for row in rows.values():
            if "gmac" in row:
                row["share_of_base_whole"] = row["gmac"] / rows["base_whole"]["gmac"]
                row["share_of_base_tiled"] = row["gmac"] / rows["base_tiled"]["gmac"]
        routed = made.get("routed")
        return Seen(photograph.name, lq.cpu(), seen, gt, routed if isinstance(routed, Restored) else None, rows)

    def _chooses(self, way: str) -> bool:
        """Whether tiles of one image go to several branches in that way, by judgement."""
        return way in ("routed", "oracle", *(self.rivals or ())) or way.startswith("routed@")

    def _ways(self, lq: Tensor, gt: Tensor, seed: int, made: Mapping[str, Any]) -> dict[str, Restore]:
        """Every way beside the input, in the order in which they are run; `made` is what came of those before."""
        whole = suiting(lq, self.base_engine.geometry.multiple_of)
        price = cost.multiply_adds(self.base, (1, *whole.shape))  # counted here, so that the count is not timed
        ways: dict[str, Restore] = {
            "base_whole": lambda: self._whole(lq, whole, price),
            "base_tiled": lambda: self.base_engine.restore(lq, 0),
        }
        for name, network in self.adaptive.items():
            ways[name] = lambda network=network: Whole(*adapt(network, self.base_engine, lq))  # type: ignore[misc]  # now
        if self.engine is None:
            return ways
        engine = self.engine
        alone = [f"branch_{k}" for k in range(len(engine.networks.branches))]

        def at_random() -> Restored:
            choice = made["routed"].choice
            order = torch.randperm(len(choice), generator=torch.Generator().manual_seed(seed))
            return engine.restore(lq, choice[order.to(choice.device)])

        def by_truth() -> Restored:
            everywhere = [made[way].image for way in alone]
            return engine.restore(lq, oracle.choice(engine, lq, everywhere, gt, made["routed"].cost))

        ways |= {"routed": lambda: engine.route(lq), "random": at_random}
        ways |= {way: partial(engine.restore, lq, k) for k, way in enumerate(alone)}
        if self.rivals is not None:
            for name, rival in self.rivals.items():
                ways[name] = lambda rival=rival: rival.engine.route(lq, made["routed"].cost)  # type: ignore[misc]  # now
            ways["oracle"] = by_truth
        if self.merging:
            ways |= {f"routed@{b:g}": partial(self.merging.route, lq, int(b * price)) for b in self.budgets}
        return ways

    @torch.inference_mode()
    def _whole(self, lq: Tensor, whole: Tensor, price: int) -> Whole:
        """whole: lq in a size that the base can take."""
        height, width = (self.task.scale * side for side in lq.shape[1:])
        return Whole(self.base(whole[None])[0, :, :height, :width], price)

    def _quality(self, image: Tensor, gt: Tensor) -> dict[str, float]:
        crop = self.task.scale if self.task.scale > 1 else 0
        return measure(image, gt, crop)


def mean(rows: Sequence[Mapping[str, Row]]) -> dict[str, Row]:
    """The mean over images of every number of every way."""
    return {
        way: {name: _mean([row[way][name] for row in rows]) for name in rows[0][way]}
        for way in (rows[0] if rows else ())
    }


def _mean(values: Sequence[Any]) -> Any:
    average = np.mean(np.array(values, dtype=float), axis=0)
    return average.tolist() if average.ndim else float(average)


def _timed(restore: Restore) -> tuple[Any, float]:
    _finish_queued_work()
    began = time.perf_counter()
    result = restore()
    _finish_queued_work()
    return result, time.perf_counter() - began


def _finish_queued_work() -> None:
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
