"""The tile engine: classify the tiles of an image, merge them, restore them in batches per branch, and blend them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowvision.routing import budget as budgets
from lowvision.routing import window_choice
from lowvision.routing.blending import Band, BandMemory
from lowvision.routing.memory import Limit, run_in_parts
from lowvision.routing.networks import Networks
from lowvision.routing.regions import Geometry, Region, Window, merged, window, window_size
from lowvision.routing.tiling import Tiling, cut_all, plan, unit
from lowvision.routing.window_choice import Windows
from lowvision.routing.workers import in_order
from lowvision.system import devices

CLASSIFIED_AT_ONCE = 64
"""Tiles per batch of the classifier on a CPU, whose cache they fill."""
CLASSIFIED_ON_ACCELERATOR = 4096
"""Tiles per batch of the classifier elsewhere: their scores are read back once per batch."""
BAND_BYTES = 64 * 2**20
"""Memory limit of a band of the restored image; one row of regions is the minimum."""
MOST_ROWS = 8
"""Maximum rows of tiles in a band: enough to fill most batches of a branch."""

Watch = Callable[[int, int], None]
"""Progress callback: receives (tiles done, tiles in total)."""


@dataclass(frozen=True)
class Stretch:
    """Rows of tiles that are restored together."""

    first: int
    last: int
    """One past the last row of tiles."""
    top: int
    bottom: int
    """The tiles write to the pixel rows `top` .. `bottom` - 1 of the image."""
    finished: int
    """First pixel row that the next stretch writes to as well."""


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
        tiling, image = self._plan(image), self.on_device(image)
        scores, cost_weight = self._scores(image, tiling), self._cost_weight(image)
        classifying = tiling.count * self._classifier_cost(image)

        def cost(choice: NDArray[np.int64]) -> int:
            return classifying + self._cost(image, tiling, torch.from_numpy(choice))

        if self.border:
            choice, spent = self._by_windows(image, tiling, scores, cost, budget, k)
        elif budget is None:
            choice = budgets.chosen(scores, cost_weight, k)
            spent = cost(choice)
        else:
            choice, spent = budgets.most_within(budget, budgets.pareto_path(scores, cost_weight), cost)
        base = np.full_like(choice, scores.shape[1] - 1)
        if (spent_by_base := cost(base)) <= spent:
            choice, spent = base, spent_by_base
        return Routes(tiling, torch.from_numpy(choice), spent)

    def turns(self, image: Tensor) -> NDArray[np.float64]:
        """Return every k at which a tile of the image switches its branch, descending: cheapest to most expensive."""
        scores = self._scores(self.on_device(image), self._plan(image))
        return budgets.pareto_path(scores, self._cost_weight(image)).k

    def given(self, image: Tensor, choice: Tensor | int) -> Routes:
        """Return the routes for a fixed choice: one branch per tile (N,), or one branch for all tiles."""
        tiling = self._plan(image)
        chosen = torch.as_tensor(choice).cpu().expand(tiling.count)
        return Routes(tiling, chosen, self._cost(image, tiling, chosen))

    @torch.inference_mode()
    def bands(
        self, image: Tensor, routes: Routes, progress: Watch | None = None, whole: Tensor | None = None
    ) -> Iterator[Tensor]:
        """Yield the restored image from top to bottom, in bands (C,h,s*W) that are computed on demand.

        Each band is overwritten as soon as the next one is taken.
        whole: zeros (C,s*H,s*W) with the dtype and device of the networks; the bands are then views of it, and stay.
        """
        tiling, limit, image = routes.tiling, Limit(self.batch), self.on_device(image)
        batches = (
            b for s in self._stretches(tiling, image.shape[0]) for b in self._batches(routes, s, limit, len(image))
        )
        results = in_order(lambda batch: (batch, self._run(image, batch, limit)), batches, self.callers)
        done, memory = 0, BandMemory()
        for stretch, restored_batches in groupby(results, key=lambda result: result[0].stretch):
            band: Band | None = None
            for batch, restored in restored_batches:
                if band is None:
                    rows = slice(self.scale * stretch.top, self.scale * stretch.bottom)
                    size = (len(restored[0]), rows.stop - rows.start, self.scale * tiling.width)
                    pixels = memory.zeros(size, restored) if whole is None else whole[:, rows]
                    band = Band(pixels, stretch.top, self.scale, memory)
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

    def windows(self, routes: Routes, channels: int) -> list[Window]:
        """Return all windows of an image with that many channels."""
        return [
            each
            for stretch in self._stretches(routes.tiling, channels)
            for each in self._windows(routes.tiling, routes.choice, stretch)
        ]

    def _by_windows(
        self,
        image: Tensor,
        tiling: Tiling,
        scores: NDArray[np.float64],
        cost: Callable[[NDArray[np.int64]], int],
        budget: int | None,
        k: float,
    ) -> tuple[NDArray[np.int64], int]:
        """Return the choice (N,) by windows, and its cost."""
        windows = self._prices(image, tiling)
        grid = scores.reshape(len(tiling.tops), len(tiling.lefts), -1)
        if budget is None:
            choice = window_choice.chosen(grid, windows, k).ravel()
            return choice, cost(choice)
        choice, spent = window_choice.most_within(budget, grid, windows, lambda made: cost(made.ravel()))
        return choice.ravel(), spent

    def _prices(self, image: Tensor, tiling: Tiling) -> Windows:
        """Return the costs of the windows of an image, in units of the base on one tile, and what the base gains."""
        unit_cost = self.networks.costs((image.shape[0], self.size, self.size))[-1]
        costs, kept, margin = {}, {}, self.overlap // 2 + self.geometry.halo
        for shape in self.geometry.shapes(tiling.count // 2):
            size = window_size(*shape, tiling, self.geometry)
            costs[shape] = np.array(self.networks.costs((image.shape[0], *size))) / unit_cost
            kept[shape] = window_choice.kept(self.border, *size, min(margin, (min(size) - 1) // 2))
        return Windows(costs, kept)

    def _plan(self, image: Tensor) -> Tiling:
        _, height, width = image.shape
        return plan(height, width, self.size, self.overlap)

    def _classifier_cost(self, image: Tensor) -> int:
        """Multiply-adds of the classifier on one tile."""
        return self.networks.classifier_cost((image.shape[0], self.size, self.size))

    def _cost_weight(self, image: Tensor) -> NDArray[np.float64]:
        """Return the cost weights (M,); the cost of the classifier is included."""
        costs = self.networks.costs((image.shape[0], self.size, self.size))
        return self.weigh(np.array(costs) + self._classifier_cost(image))

    def _scores(self, image: Tensor, tiling: Tiling) -> NDArray[np.float64]:
        """Return the output of the classifier (N,M)."""
        return self._classified(image, tiling.corners)

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

    def _stretches(self, tiling: Tiling, channels: int) -> Iterator[Stretch]:
        """Yield as many rows of tiles at a time as a band may hold."""
        merge, rows = self.geometry.merge, len(tiling.tops)
        row_bytes = 4 * channels * tiling.width * (self.size - self.overlap) * self.scale**2
        rows_per_band = max(1, min(MOST_ROWS, BAND_BYTES // row_bytes) // merge) * merge
        for first in range(0, rows, rows_per_band):
            last = min(first + rows_per_band, rows)
            top = tiling.seams_down[first - 1][0] if first else 0
            finished, bottom = tiling.seams_down[last - 1] if last < rows else (tiling.height, tiling.height)
            yield Stretch(first, last, top, bottom, finished)

    def _windows(self, tiling: Tiling, choice: Tensor, stretch: Stretch) -> list[Window]:
        return [window(region, tiling, self.geometry) for region in self._regions(tiling, choice, stretch)]

    def _regions(self, tiling: Tiling, choice: Tensor, stretch: Stretch) -> list[Region]:
        columns = len(tiling.lefts)
        rows = choice[stretch.first * columns : stretch.last * columns].unflatten(0, (-1, columns)).numpy()
        return merged(rows, self.geometry, stretch.first, most=tiling.count // 2)

    def _cost(self, image: Tensor, tiling: Tiling, choice: Tensor) -> int:
        """Return the multiply-adds of the branches, without the classifier."""
        stretches = self._stretches(tiling, image.shape[0])
        regions = (region for stretch in stretches for region in self._regions(tiling, choice, stretch))
        counts = Counter((region.branch, region.rows, region.columns) for region in regions)
        total = 0
        for (branch, rows, columns), count in counts.items():
            size = window_size(rows, columns, tiling, self.geometry)
            total += count * self.networks.costs((image.shape[0], *size))[branch]
        return total

    def _batches(self, routes: Routes, stretch: Stretch, limit: Limit, channels: int) -> Iterator[Batch]:
        groups: dict[tuple[int, int, int], list[Window]] = {}
        for each in self._windows(routes.tiling, routes.choice, stretch):
            groups.setdefault((each.branch, each.height, each.width), []).append(each)

        def cost_of_window(group: tuple[int, int, int]) -> int:
            branch, *size = group
            return self.networks.costs((channels, *size))[branch]

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
