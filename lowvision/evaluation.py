"""Measures a container on photographs: quality, exact cost and seconds of every way to restore them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lowvision import images
from lowvision.contracts import Task
from lowvision.metrics import measure
from lowvision.routing import cost
from lowvision.routing.engine import Engine, Restored
from lowvision.training.photographs import Photograph, lq_of

Row = dict[str, Any]
"""What was measured of one way to restore one image, by name."""


@dataclass(frozen=True)
class Whole:
    """An image that a network restored in one piece."""

    image: Tensor
    """(C,s*H,s*W)."""
    cost: int
    """Multiply-adds."""


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
    """Ways to restore an image, and how to measure them: bicubic or noisy input, the base, routed, and controls."""

    task: Task
    base: nn.Module
    """The network that a user would otherwise run."""
    engine: Engine | None
    """Runs the container; None where only the base was trained."""
    base_engine: Engine
    """Runs the base on tiles."""
    seed: int
    device: torch.device

    def warm_up(self) -> None:
        """Run everything once, so that the first image's seconds are like the others'."""
        tile = torch.zeros(self.task.channels, self.base_engine.size, self.base_engine.size, device=self.device)
        for restore in self._ways(tile, self.seed).values():
            restore()

    def see(self, photograph: Photograph, number: int) -> Seen:
        """Restore one photograph in every way; its noise and its random routing follow from its number in the set."""
        seed = self.seed + number
        lq = lq_of(photograph, self.task, seed).to(self.device)
        gt = images.to_tensor(photograph.gt)
        made: dict[str, Tensor] = {"input": self.task.baseline(lq[None])[0].cpu()}
        rows: dict[str, Row] = {"input": self._quality(made["input"], gt)}
        routed = None
        for way, restore in self._ways(lq, seed).items():
            result, seconds = _timed(restore)
            made[way] = result.image.cpu()
            rows[way] = {**self._quality(made[way], gt), "seconds": seconds, "gmac": result.cost / 1e9}
            if way == "routed":
                assert self.engine
                routed = result
                rows[way]["shares"] = list(result.shares(len(self.engine.networks.branches)))
        for row in rows.values():
            if "gmac" in row:
                row["share_of_base_whole"] = row["gmac"] / rows["base_whole"]["gmac"]
                row["share_of_base_tiled"] = row["gmac"] / rows["base_tiled"]["gmac"]
        return Seen(photograph.name, lq.cpu(), made, gt, routed, rows)

    def _ways(self, lq: Tensor, seed: int) -> dict[str, Callable[[], Restored | Whole]]:
        """Every way beside the input, in the order in which they are run: each may need the ones before."""
        price = cost.multiply_adds(self.base, (1, *lq.shape))  # counted here, so that the count is not timed
        ways: dict[str, Callable[[], Restored | Whole]] = {
            "base_whole": lambda: self._whole(lq, price),
            "base_tiled": lambda: self.base_engine.restore(lq, 0),
        }
        if self.engine is None:
            return ways
        engine, routed = self.engine, list[Restored]()

        def route() -> Restored:
            routed.append(engine.route(lq))
            return routed[-1]

        def at_random() -> Restored:
            choice = routed[-1].choice
            order = torch.randperm(len(choice), generator=torch.Generator().manual_seed(seed))
            return engine.restore(lq, choice[order.to(choice.device)])

        ways |= {"routed": route, "random": at_random}
        for k in range(len(engine.networks.branches)):
            ways[f"branch_{k}"] = lambda k=k: engine.restore(lq, k)  # type: ignore[misc]  # bound now, on purpose
        return ways

    @torch.inference_mode()
    def _whole(self, lq: Tensor, price: int) -> Whole:
        return Whole(self.base(lq[None])[0], price)

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


def _timed(restore: Callable[[], Restored | Whole]) -> tuple[Any, float]:
    _finish_queued_work()
    began = time.perf_counter()
    result = restore()
    _finish_queued_work()
    return result, time.perf_counter() - began


def _finish_queued_work() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
