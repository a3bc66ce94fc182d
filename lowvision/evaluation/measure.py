"""Measure a container on photographs: quality, exact cost and seconds of every way to restore them."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lowvision.data.photographs import Photograph, lq_of
from lowvision.errors import LowvisionError
from lowvision.evaluation import quality
from lowvision.evaluation.quality import Quality
from lowvision.evaluation.whole import restore_whole
from lowvision.imaging import io, metrics
from lowvision.imaging.protocol import Protocol
from lowvision.plugins.contracts import Adaptive, Task
from lowvision.plugins.core_metrics import PSNR, SSIM
from lowvision.plugins.metrics import Metric
from lowvision.routing import cost, oracle
from lowvision.routing.adapting import adapt
from lowvision.routing.engine import Engine, RestoredTiles
from lowvision.routing.tiling import suiting, up
from lowvision.system import devices

DEFAULT_METRICS: Mapping[str, Metric] = MappingProxyType({"psnr": PSNR(), "ssim": SSIM()})
Row = dict[str, Any]
"""The measured values of one way to restore one image, by name."""
Restore = Callable[[], "RestoredTiles | Whole"]
"""One way to restore an image; it may use the results of earlier ways."""


@dataclass(frozen=True)
class Whole:
    """An image that one network restored as a whole."""

    image: Tensor
    """(C,s*H,s*W)."""
    cost: int
    """Multiply-adds."""


@dataclass(frozen=True)
class ComparedClassifier:
    """The branches of the container, routed by another classifier."""

    about: str
    """Description of the classifier, one line."""
    engine: Engine


@dataclass(frozen=True)
class ImageMeasurement:
    """The results of all ways for one image."""

    name: str
    lq: Tensor
    """(C,h,w)."""
    images: Mapping[str, Tensor]
    """The result of each way, (C,s*h,s*w)."""
    gt: Tensor | None
    """(C,s*h,s*w); None if it is unknown."""
    routed: RestoredTiles | None
    """Tiles and choice of the way `routed`."""
    rows: Mapping[str, Row]
    """The measured values of each way."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """The reason for each way that could not be run; it has no row."""


@dataclass(frozen=True)
class Evaluation:
    """The ways to restore an image, and their measurement: the input, the base, routed, and controls.

    All ways except those at a budget or a speed restore each tile alone, as in the paper.
    """

    task: Task
    base: nn.Module
    """The network that a user would run without routing."""
    engine: Engine | None
    """Runs the container; None if only the base was trained."""
    base_engine: Engine
    """Runs the base on tiles."""
    seed: int
    device: torch.device
    compared: Mapping[str, ComparedClassifier] | None = None
    """Other classifiers by name, measured at the cost of the container's own classifier, with an oracle. None: skip."""
    merging: Engine | None = None
    """Runs the container with merged tiles, like `lowvision restore`; used for budgets and speeds."""
    budgets: tuple[float, ...] = ()
    """Budgets to measure, as fractions of the base cost on the whole image."""
    speeds: Mapping[str, float] = field(default_factory=dict)
    """The Lagrange multiplier of the cost of each `--speed` of `lowvision restore`, by its name; empty: no curve."""
    adaptive: Mapping[str, Adaptive] = field(default_factory=dict)
    """An adaptive base at each measured operating point, by the name of the way."""
    protocol: Protocol = "basicsr"
    """Luma of photographs whose files are grey."""
    metrics: Mapping[str, Metric] = field(default_factory=lambda: DEFAULT_METRICS)
    """The metrics of quality by name."""
    reach: int | None = None
    """Radius of the base's receptive field in LQ pixels; None: the whole input."""

    def with_adaptive_budgets(self, budgets: Sequence[float], lq: Tensor, gt: Tensor) -> Evaluation:
        """Add the adaptive base at each budget, which is set on tiles lq (N,C,h,w), gt (N,C,s*h,s*w)."""
        adaptive = dict(self.adaptive)
        for budget in budgets:
            adaptive[f"adaptive@{budget:g}"] = network = copy.deepcopy(self.adaptive["adaptive"])
            network.set_budget(budget, lq.to(self.device), gt.to(self.device))
        return replace(self, adaptive=adaptive)

    @property
    def crop(self) -> int:
        """Pixels that are cropped at each border before quality is measured."""
        return self.task.scale if self.task.scale > 1 else 0

    def measurable(self, photographs: Sequence[Photograph]) -> tuple[tuple[Photograph, ...], list[str]]:
        """Return the photographs that are large enough to be measured, and the names of the others."""
        scale = self.task.scale
        sizes = [(p, *p.lq_size) for p in photographs]
        large = [p for p, height, width in sizes if metrics.measurable(scale * height, scale * width, self.crop)]
        return tuple(large), [p.name for p in photographs if p not in large]

    def without_measure(self, photographs: Sequence[Photograph]) -> str:
        """Return what is wrong if a photograph has no ground truth, and no metric does without; else an empty text."""
        alone = next((p.name for p in photographs if p.gt_path is None), None)
        if alone is None or any(quality.needs_no_gt(metric, alone) for metric in self.metrics.values()):
            return ""
        return f"{alone}: has no ground truth; measure by a metric without a reference, e.g. `noise`"

    def warm_up(self) -> None:
        """Run every way once, so that the seconds of the first image are comparable."""
        tile = torch.zeros(self.task.channels, self.base_engine.size, self.base_engine.size, device=self.device)
        size = (tile.shape[0], *(self.task.scale * side for side in tile.shape[1:]))
        results: dict[str, RestoredTiles | Whole] = {}
        for way, restore in self._ways(tile, torch.zeros(size), self.seed, results).items():
            results[way] = restore()

    def measure(self, photograph: Photograph, number: int) -> ImageMeasurement:
        """Restore one photograph in every way and measure the results; its number in the set seeds all randomness.

        Networks compute in IEEE float32 on every device.
        """
        with devices.exact_float32(self.device):
            return self._measure(photograph, number)

    def _measure(self, photograph: Photograph, number: int) -> ImageMeasurement:
        seed = self.seed + number
        lq = lq_of(photograph, self.task, seed).to(self.device)
        gt = io.to_tensor(photograph.gt) if photograph.gt_path else None
        images: dict[str, Tensor] = {"input": self.task.baseline(lq[None])[0].cpu()}
        costs: dict[str, Row] = {"input": {}}
        results: dict[str, RestoredTiles | Whole] = {}
        left_out: dict[str, str] = {}
        ways, whole_cost = self._ways(lq, gt, seed, results), self._whole_cost(lq) / 1e9
        for way, restore in ways.items():
            try:
                result, seconds = _timed(restore, rehearse=self.device.type != "cpu")
            except LowvisionError as error:
                if way != "base_whole":  # the others run tiles and depend on one another
                    raise
                left_out[way] = str(error)
                continue
            images[way] = result.image.cpu()
            results[way] = replace(result, image=images[way])  # images of all ways would fill an accelerator
            costs[way] = {"seconds": seconds, "gmac": result.cost / 1e9}
            if self._is_routed(way):
                assert self.engine
                costs[way]["shares"] = list(results[way].shares(len(self.engine.networks.branches)))  # type: ignore[union-attr]  # RestoredTiles
        # Measured last, in all threads, so that no thread takes time from a way.
        as_grey = self.protocol == "paper" and photograph.is_grey
        values = Quality(self.metrics, self.crop, self.device).measure(images, gt, photograph.name, as_grey)
        rows: dict[str, Row] = {way: {**values[way], **row} for way, row in costs.items()}
        for row in rows.values():
            if "gmac" in row:
                row["share_of_base_whole"] = row["gmac"] / whole_cost
                row["share_of_base_tiled"] = row["gmac"] / rows["base_tiled"]["gmac"]
        routed = results.get("routed")
        return ImageMeasurement(
            photograph.name,
            lq.cpu(),
            images,
            gt,
            routed if isinstance(routed, RestoredTiles) else None,
            rows,
            left_out,
        )

    def _is_routed(self, way: str) -> bool:
        """Return True if a way selects the branch of each tile by a classifier or the oracle."""
        return way in ("routed", "oracle", *(self.compared or ())) or way.startswith(("routed@", "restore@"))

    def _ways(self, lq: Tensor, gt: Tensor | None, seed: int, results: Mapping[str, Any]) -> dict[str, Restore]:
        """List every way except the input, in the order of execution; `results` holds those of earlier ways.

        Without ground truth, no way needs it.
        """
        whole = suiting(lq, self.base_engine.geometry.multiple_of)
        whole_cost = self._whole_cost(lq)  # counted before the timer starts
        ways: dict[str, Restore] = {
            "base_whole": lambda: self._whole(lq, whole, whole_cost),
            "base_tiled": lambda: self.base_engine.restore(lq, 0),
        }
        for name, network in self.adaptive.items():
            ways[name] = lambda network=network: Whole(*adapt(network, self.base_engine, lq))  # type: ignore[misc]  # bound now
        if self.engine is None:
            return ways
        engine = self.engine
        alone = [f"branch_{k}" for k in range(len(engine.networks.branches))]

        def random() -> RestoredTiles:
            choice = results["routed"].choice
            order = torch.randperm(len(choice), generator=torch.Generator().manual_seed(seed))
            return engine.restore(lq, choice[order.to(choice.device)])

        def by_oracle(gt: Tensor) -> RestoredTiles:
            everywhere = [results[way].image for way in alone]
            return engine.restore(lq, oracle.choice(engine, lq, everywhere, gt, results["routed"].cost))

        ways |= {"routed": lambda: engine.route(lq), "random": random}
        ways |= {way: partial(engine.restore, lq, k) for k, way in enumerate(alone)}
        if self.compared is not None:
            for name, other in self.compared.items():
                ways[name] = lambda other=other: other.engine.route(lq, results["routed"].cost)  # type: ignore[misc]  # bound now
            ways |= {} if gt is None else {"oracle": partial(by_oracle, gt)}
        if self.merging:
            ways |= {f"routed@{b:g}": partial(self.merging.route, lq, int(b * whole_cost)) for b in self.budgets}
            ways |= {f"restore@{name}": partial(self.merging.route, lq, k=k) for name, k in self.speeds.items()}
        return ways

    @torch.inference_mode()
    def _whole(self, lq: Tensor, whole: Tensor, whole_cost: int) -> Whole:
        """Run the base on `whole`, which is lq padded to a size that the base accepts."""
        height, width = (self.task.scale * side for side in lq.shape[1:])
        multiple = self.base_engine.geometry.multiple_of
        restored = restore_whole(self.base, whole, self.task.scale, self.reach, multiple)
        return Whole(restored[:, :height, :width], whole_cost)

    def _whole_cost(self, lq: Tensor) -> int:
        """Return the multiply-adds of the base on the whole image."""
        multiple = self.base_engine.geometry.multiple_of
        return cost.multiply_adds(self.base, (1, lq.shape[0], *(up(side, multiple) for side in lq.shape[1:])))


def mean(rows: Sequence[Mapping[str, Row]]) -> dict[str, Row]:
    """Return the means over the images by way and metric, without ways and metrics that an image lacks."""
    return {
        way: {
            name: _mean([row[way][name] for row in rows])
            for name in rows[0][way]
            if all(name in row[way] for row in rows)
        }
        for way in (rows[0] if rows else ())
        if all(way in row for row in rows)
    }


def _mean(values: Sequence[Any]) -> Any:
    average = np.mean(np.array(values, dtype=float), axis=0)
    return average.tolist() if average.ndim else float(average)


def _timed(restore: Restore, rehearse: bool) -> tuple[Any, float]:
    """Return the result and its seconds.

    rehearse: run once before. An accelerator plans its kernels and allocates memory at the first image of a size.
    """
    if rehearse:
        restore()
    _finish_queued_work()
    began = time.perf_counter()
    result = restore()
    _finish_queued_work()
    return result, time.perf_counter() - began


def _finish_queued_work() -> None:
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
