"""The tile engine: classify the tiles of an image, merge them, restore them in batches per branch, and blend them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowvision.routing import budget as budgets
from lowvision.routing.blending import Band, BandMemory, SeamWeights
from lowvision.routing.budget import PerTile
from lowvision.routing.layout import Layout, Stretch
from lowvision.routing.memory import Limit, run_in_parts
from lowvision.routing.networks import Networks
from lowvision.routing.regions import Geometry, Window
from lowvision.routing.tiling import Tiling, cut_all, plan, unit
from lowvision.routing.window_choice import PerWindow
from lowvision.routing.workers import in_order
from lowvision.system import devices

CLASSIFIED_AT_ONCE = 64
"""Tiles per batch of the classifier on a CPU, whose cache they fill."""
CLASSIFIED_ON_ACCELERATOR = 4096
"""Tiles per batch of the classifier elsewhere: their scores are read back once per batch."""

Watch = Callable[[int, int], None]
"""Progress callback: receives (tiles done, tiles in total)."""


@dataclass(frozen=True)
class Batch:
    """Windows of one branch and one size."""

    windows: tuple[Window, ...]
    stretch: Stretch


@dataclass(frozen=True)
class Routes:
    """The branch of each tile of an image, and the total cost."""

    tiling: Tiling
    """The grid of tiles."""
    choice: Tensor
    """(N,) the branch of each tile, in the order of the tiling."""
    cost: int
    """Multiply-adds: branches including overlap and context, plus the classifier if it ran."""


@dataclass(frozen=True)
class RestoredTiles:
    """A restored image, and the branch of each of its tiles."""

    image: Tensor
    """(C,s*H,s*W)."""
    choice: Tensor
    """(N,) the branch of each tile, in the order of the tiling."""
    cost: int
    """Multiply-adds of the whole image: branches including overlap, plus the classifier if it ran."""
    tiling: Tiling
    """The grid of tiles."""

    def shares(self, branches: int) -> tuple[float, ...]:
        """Return the share of tiles per branch."""
        return tuple((torch.bincount(self.choice, minlength=branches) / len(self.choice)).tolist())


@dataclass(frozen=True)
class Engine:
    """Restore images of any size; memory grows with the image width, not its height.

    Images are (C,H,W) on any device: floating point in [0,1], or unsigned integers over their whole range.
    """

    networks: Networks
    scale: int
    size: int
    """Height and width of a tile, in LQ pixels."""
    overlap: int
    """Minimum overlap of neighbouring tiles, in LQ pixels."""
    geometry: Geometry = field(default_factory=Geometry)
    """Merging of tiles, and their context. Default: no merging."""
    batch: int = 16
    """Tiles per batch of a branch. A merged window counts as its number of tiles; one window is the minimum."""
    callers: int = 1
    """Threads that run branches concurrently."""
    device: torch.device | None = None
    """Device of the networks; None: the device of the image."""
    weigh: budgets.Weigh = budgets.logarithms
    """Cost weight for the scores of the classifier. Default: the one for logits."""
    border: tuple[float, ...] = ()
    """Error of the base at each distance from the border of its windows, in LQ pixels, relative to the error of the
    branch before it. Not empty: branches are chosen by windows, for scores that are errors."""

    def route(self, image: Tensor, budget: int | None = None, k: float = 0.0) -> RestoredTiles:
        """Restore an image by the classifier's choice, with the limits of `decide`."""
        return self.restored(image, self.decide(image, budget, k))

    def restore(self, image: Tensor, choice: Tensor | int) -> RestoredTiles:
        """Restore an image by a given choice: one branch per tile (N,), or one for all tiles."""
        return self.restored(image, self.given(image, choice))

    def decide(self, image: Tensor, budget: int | None = None, k: float = 0.0) -> Routes:
        """Return the classifier's choice for an image: within a budget, or at a given Lagrange multiplier k.

        budget: limit on multiply-adds. If even the cheapest branch exceeds it, all tiles take the cheapest branch.
        k: used without a budget. 0: as trained; larger: cheaper (`lowvision/routing/budget.py`).
        If the base on all tiles costs no more than the choice, since larger windows overlap less, all tiles take it.
        """
        return self.chosen(image, self.scores(image), budget, k)

    def chosen(self, image: Tensor, scores: NDArray[np.float64], budget: int | None = None, k: float = 0.0) -> Routes:
        """Do what `decide` does, with the output of the classifier (N,M)."""
        layout = self.layout(image)
        classifying = layout.tiling.count * self._classifier_cost(image)

        def cost(choice: NDArray[np.int64]) -> int:
            return classifying + layout.cost(torch.from_numpy(choice))

        rule = self._rule(image, layout, scores)
        if budget is None:
            choice = rule.at(k)
            spent = cost(choice)
        else:
            choice, spent = rule.within(budget, cost)
        base = np.full_like(choice, scores.shape[1] - 1)
        if (spent_by_base := cost(base)) <= spent:
            choice, spent = base, spent_by_base
        return Routes(layout.tiling, torch.from_numpy(choice), spent)

    def turns(self, image: Tensor, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return every k at which a tile alone switches its branch, descending; scores (N,M): of the classifier."""
        return budgets.pareto_path(scores, self._cost_weight(image)).k

    def scores(self, image: Tensor) -> NDArray[np.float64]:
        """Return the output of the classifier (N,M)."""
        image = self.on_device(image)
        return self._classified(image, self.layout(image).tiling.corners)

    def given(self, image: Tensor, choice: Tensor | int) -> Routes:
        """Return the routes for a fixed choice: one branch per tile (N,), or one branch for all tiles."""
        layout = self.layout(image)
        chosen = torch.as_tensor(choice).cpu().expand(layout.tiling.count)
        return Routes(layout.tiling, chosen, layout.cost(chosen))

    def layout(self, image: Tensor) -> Layout:
        """Return the layout of an image."""
        channels, height, width = image.shape
        tiling = plan(height, width, self.size, self.overlap)
        return Layout(tiling, self.geometry, channels, self.scale, self.networks.costs)

    @torch.inference_mode()
    def bands(
        self, image: Tensor, routes: Routes, progress: Watch | None = None, whole: Tensor | None = None
    ) -> Iterator[Tensor]:
        """Yield the restored image from top to bottom, in bands (C,h,s*W) that are computed on demand.

        Each band is overwritten as soon as the next one is taken.
        whole: zeros (C,s*H,s*W) with the dtype and device of the networks; the bands are then views of it, and stay.
        """
        layout, limit, image = self.layout(image), Limit(self.batch), self.on_device(image)
        tiling = layout.tiling
        batches = (batch for stretch in layout.stretches() for batch in self._batches(layout, routes, stretch, limit))
        results = in_order(lambda batch: (batch, self._run(image, batch, limit)), batches, self.callers)
        done, memory, weights = 0, BandMemory(), SeamWeights(self.scale)
        for stretch, restored_batches in groupby(results, key=lambda result: result[0].stretch):
            band: Band | None = None
            for batch, restored in restored_batches:
                if band is None:
                    rows = slice(self.scale * stretch.top, self.scale * stretch.bottom)
                    size = (len(restored[0]), rows.stop - rows.start, self.scale * tiling.width)
                    pixels = memory.zeros(size, restored) if whole is None else whole[:, rows]
                    band = Band(pixels, stretch.top, self.scale, weights)
                band.add(restored, batch.windows)
                done += sum(each.tiles for each in batch.windows)
                if progress:
                    progress(done, tiling.count)
            assert band is not None  # every stretch has a tile
            yield band.above(stretch.finished)
            memory.unfinished = band.below(stretch.finished)

    def restored(self, image: Tensor, routes: Routes) -> RestoredTiles:
        """Restore the whole image by the given routes."""
        channels, height, width = image.shape
        size, dtype = (channels, self.scale * height, self.scale * width), unit(image[:, :0]).dtype
        whole = torch.zeros(size, dtype=dtype, device=self.device or image.device)
        for _ in self.bands(image, routes, whole=whole):
            pass
        return RestoredTiles(whole, routes.choice, routes.cost, routes.tiling)

    def on_device(self, image: Tensor) -> Tensor:
        """Move an image to the device of the networks, once; its tiles are cut there.

        Integers are moved before they are converted, because they have fewer bytes than float32. Accelerators lack
        operations on uint16, so this type is converted at once.
        """
        device = self.device or image.device
        if image.device == device:
            return image
        moved = image.to(device)
        return unit(moved) if image.dtype == torch.uint16 else moved

    def _rule(self, image: Tensor, layout: Layout, scores: NDArray[np.float64]) -> PerTile | PerWindow:
        if self.border:
            return PerWindow(scores, layout.prices(self.border))
        return PerTile(scores, self._cost_weight(image))

    def _classifier_cost(self, image: Tensor) -> int:
        """Multiply-adds of the classifier on one tile."""
        return self.networks.classifier_cost((image.shape[0], self.size, self.size))

    def _cost_weight(self, image: Tensor) -> NDArray[np.float64]:
        """Return the cost weights (M,); the cost of the classifier is included."""
        costs = self.networks.costs((image.shape[0], self.size, self.size))
        return self.weigh(np.array(costs) + self._classifier_cost(image))

    def _classified(self, image: Tensor, corners: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
        """Return the output of the classifier (N,M) on the tiles with these first rows and columns."""
        at_once = CLASSIFIED_AT_ONCE if image.device.type == "cpu" else CLASSIFIED_ON_ACCELERATOR
        limit = Limit(at_once)

        @torch.inference_mode()
        def classify_batch(first: int) -> Tensor:
            tiles = cut_all(image, corners[first : first + at_once], self.size, self.size)
            with devices.exact_float32(tiles.device):
                return run_in_parts(self.networks.classify, tiles, limit, 1).float().cpu()

        scores = list(in_order(classify_batch, range(0, len(corners), at_once), self.callers))
        return torch.cat(scores).double().numpy()

    def _batches(self, layout: Layout, routes: Routes, stretch: Stretch, limit: Limit) -> Iterator[Batch]:
        groups: dict[tuple[int, int, int], list[Window]] = {}
        for each in layout.windows(routes.choice, stretch):
            groups.setdefault((each.branch, each.height, each.width), []).append(each)

        def cost_of_window(group: tuple[int, int, int]) -> int:
            branch, *size = group
            return self.networks.costs((layout.channels, *size))[branch]

        # The most expensive first, so that no thread runs a long batch alone at the end.
        for group in sorted(groups, key=cost_of_window, reverse=True):
            windows = groups[group]
            while windows:
                taken = tuple(windows[: limit.windows(windows[0].tiles)])
                del windows[: len(taken)]  # the limit may fall while the batch runs
                yield Batch(taken, stretch)

    @torch.inference_mode()
    def _run(self, image: Tensor, batch: Batch, limit: Limit) -> Tensor:
        first = batch.windows[0]
        tiles = cut_all(image, [(w.top, w.left) for w in batch.windows], first.height, first.width)
        branch = self.networks.branches[first.branch]
        # Contiguous planes: blending channels-last windows takes three times as long.
        return run_in_parts(branch, tiles, limit, first.tiles).contiguous()
