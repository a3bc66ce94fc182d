"""From an image to a restored image: tiles are classified, merged, restored in batches of one branch, and blended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowvision.routing import budget as budgets
from lowvision.routing.blending import Band
from lowvision.routing.memory import Limit, run_in_parts
from lowvision.routing.networks import Networks
from lowvision.routing.regions import Geometry, Window, merged, window
from lowvision.routing.tiling import Plan, cut, plan, split, unit
from lowvision.routing.workers import in_order

CLASSIFIED_AT_ONCE = 64
"""Tiles that go through the classifier at a time."""
BAND_BYTES = 64 * 2**20
"""What a band of the restored image may take, unless one row of regions takes more."""
MOST_ROWS = 8
"""Rows of tiles in a band: enough that most batches of a branch are full."""

Watch = Callable[[int, int], None]
"""Is told how many tiles are done, and of how many."""


@dataclass(frozen=True)
class Stretch:
    """Some rows of tiles, which are restored together."""

    first: int
    last: int
    """The row of tiles after the last."""
    top: int
    bottom: int
    """The pixels of the image that they touch: rows `top` .. `bottom` - 1."""
    finished: int
    """From this row of pixels on the next stretch has a part in the image."""


@dataclass(frozen=True)
class Batch:
    """Windows of one branch and one size."""

    windows: tuple[Window, ...]
    stretch: Stretch


@dataclass(frozen=True)
class Routes:
    """Which branch restores each tile of an image, and what that costs."""

    plan: Plan
    """Where the tiles lie."""
    choice: Tensor
    """(N,) the branch of each tile, in the order of the plan."""
    cost: int
    """Multiply-adds: branches, with overlap and context, and the classifier where it was asked."""


@dataclass(frozen=True)
class Restored:
    """A restored image, and how it came about."""

    image: Tensor
    """(C,s*H,s*W)."""
    choice: Tensor
    """(N,) the branch of each tile, in the order of the plan."""
    cost: int
    """Multiply-adds of the whole image: branches, overlap and, where it was asked, the classifier."""
    plan: Plan
    """Where the tiles lie."""

    def shares(self, branches: int) -> tuple[float, ...]:
        """The share of tiles that went to each branch."""
        return tuple((torch.bincount(self.choice, minlength=branches) / len(self.choice)).tolist())


@dataclass(frozen=True)
class Engine:
    """Restores images of any size, in memory that grows with their width alone.

    Images are (C,H,W): floating in [0,1], or unsigned integers of their whole range, and on any device.
    """

    networks: Networks
    scale: int
    size: int
    """Height and width of a tile, in LQ pixels."""
    overlap: int
    """By how much neighbours overlap at least, in LQ pixels."""
    geometry: Geometry = field(default_factory=Geometry)
    """How tiles are merged, and with how much context they are restored; as given, every tile is on its own."""
    batch: int = 16
    """Tiles of one branch that are restored at a time; merged ones count as what they were, one window is the least."""
    callers: int = 1
    """Threads that restore at the same time."""
    device: torch.device | None = None
    """Where the networks are; None: where the image is."""
    weigh: budgets.Weigh = budgets.logarithms
    """What the classifier's answers are weighed against: what goes with logits, unless told."""

    def route(self, image: Tensor, budget: int | None = None) -> Restored:
        """Restore an image; the classifier chooses the branch of each tile, within so many multiply-adds."""
        return self.restored(image, self.decide(image, budget))

    def restore(self, image: Tensor, choice: Tensor | int) -> Restored:
        """Restore an image by a choice made elsewhere: one branch for each tile (N,), or one for all."""
        return self.restored(image, self.given(image, choice))

    def decide(self, image: Tensor, budget: int | None = None, k: float = 0.0) -> Routes:
        """What the classifier chooses for an image: within a budget, or by the budget's rule at a given k.

        budget: multiply-adds that may be spent; where even the cheapest branch costs more, it is chosen everywhere.
        k: without a budget; 0: as trained, above it cheaper (`lowvision/routing/budget.py`).
        """
        where = self._plan(image)
        scores, cost_weight = self._scores(image, where), self._dearness(image)
        asking = where.count * self._asking(image)

        def cost(choice: NDArray[np.int64]) -> int:
            return asking + self._cost(image, where, torch.from_numpy(choice))

        if budget is None:
            choice = budgets.chosen(scores, cost_weight, k)
            return Routes(where, torch.from_numpy(choice), cost(choice))
        chosen, spent = budgets.most_within(budget, budgets.steps(scores, cost_weight), cost)
        return Routes(where, torch.from_numpy(chosen), spent)

    def turns(self, image: Tensor) -> NDArray[np.float64]:
        """Every k at which a tile of the image changes its branch, falling: from all cheap to all dear."""
        return budgets.steps(self._scores(image, self._plan(image)), self._dearness(image)).k

    def given(self, image: Tensor, choice: Tensor | int) -> Routes:
        """A choice made elsewhere: one branch for each tile (N,), or one for all."""
        where = self._plan(image)
        chosen = torch.as_tensor(choice).cpu().expand(where.count)
        return Routes(where, chosen, self._cost(image, where, chosen))

    @torch.inference_mode()
    def bands(
        self, image: Tensor, routes: Routes, watch: Watch | None = None, whole: Tensor | None = None
    ) -> Iterator[Tensor]:
        """The restored image from top to bottom, in bands (C,h,s*W) that are made as they are asked for.

        whole: zeros (C,s*H,s*W) of the networks' kind and device, of which the bands are parts then; as given, each
        has memory of its own.
        """
        where, limit = routes.plan, Limit(self.batch)
        batches = (b for s in self._stretches(where, image.shape[0]) for b in self._batches(routes, s, limit))
        results = in_order(lambda batch: (batch, self._run(image, batch, limit)), batches, self.callers)
        done = 0
        unfinished: Tensor | None = None
        for stretch, made in groupby(results, key=lambda result: result[0].stretch):
            band: Band | None = None
            for batch, restored in made:
                if band is None:
                    rows = slice(self.scale * stretch.top, self.scale * stretch.bottom)
                    size = (len(restored[0]), rows.stop - rows.start, self.scale * where.width)
                    pixels = _begun(restored.new_zeros(size), unfinished) if whole is None else whole[:, rows]
                    band = Band(pixels, stretch.top, self.scale)
                for piece, each in zip(restored, batch.windows, strict=True):
                    band.add(piece, each)
                    done += each.tiles
                if watch:
                    watch(done, where.count)
            assert band is not None  # every stretch has a tile
            unfinished = band.below(stretch.finished)
            yield band.above(stretch.finished)

    def restored(self, image: Tensor, routes: Routes) -> Restored:
        """The whole image, restored by those routes."""
        channels, height, width = image.shape
        size, kind = (channels, self.scale * height, self.scale * width), unit(image[:, :0]).dtype
        whole = torch.zeros(size, dtype=kind, device=self.device or image.device)
        for _ in self.bands(image, routes, whole=whole):
            pass
        return Restored(whole, routes.choice, routes.cost, routes.plan)

    def _plan(self, image: Tensor) -> Plan:
        _, height, width = image.shape
        return plan(height, width, self.size, self.overlap)

    def _asking(self, image: Tensor) -> int:
        """Multiply-adds of the classifier on one tile."""
        return self.networks.classifier_price((image.shape[0], self.size, self.size))

    def _dearness(self, image: Tensor) -> NDArray[np.float64]:
        """(M,), the classifier counted."""
        prices = self.networks.prices((image.shape[0], self.size, self.size))
        return self.weigh(np.array(prices) + self._asking(image))

    def _scores(self, image: Tensor, where: Plan) -> NDArray[np.float64]:
        """(N,M): what the classifier answers."""

        @torch.inference_mode()
        def some(first: int) -> Tensor:
            tiles = split(image, where, first, CLASSIFIED_AT_ONCE)
            return self.networks.classify(self._prepared(tiles)).float().cpu()

        answers = list(in_order(some, range(0, where.count, CLASSIFIED_AT_ONCE), self.callers))
        return torch.cat(answers).double().numpy()

    def _stretches(self, where: Plan, channels: int) -> Iterator[Stretch]:
        """As many rows of tiles at a time as a band may hold."""
        merge, rows = self.geometry.merge, len(where.tops)
        row_bytes = 4 * channels * where.width * (self.size - self.overlap) * self.scale**2
        together = max(1, min(MOST_ROWS, BAND_BYTES // row_bytes) // merge) * merge
        for first in range(0, rows, together):
            last = min(first + together, rows)
            top = where.seams_down[first - 1][0] if first else 0
            finished, bottom = where.seams_down[last - 1] if last < rows else (where.height, where.height)
            yield Stretch(first, last, top, bottom, finished)

    def _windows(self, where: Plan, choice: Tensor, stretch: Stretch) -> list[Window]:
        columns = len(where.lefts)
        rows = choice[stretch.first * columns : stretch.last * columns].unflatten(0, (-1, columns)).numpy()
        return [window(region, where, self.geometry) for region in merged(rows, self.geometry, stretch.first)]

    def _cost(self, image: Tensor, where: Plan, choice: Tensor) -> int:
        """Multiply-adds of the branches alone."""
        windows = (w for s in self._stretches(where, image.shape[0]) for w in self._windows(where, choice, s))
        return sum(self.networks.prices((image.shape[0], w.height, w.width))[w.branch] for w in windows)

    def _batches(self, routes: Routes, stretch: Stretch, limit: Limit) -> Iterator[Batch]:
        alike: dict[tuple[int, int, int], list[Window]] = {}
        for each in self._windows(routes.plan, routes.choice, stretch):
            alike.setdefault((-each.branch, each.height, each.width), []).append(each)
        # The dearest first: so no thread is left alone with a long one at the end.
        for _, windows in sorted(alike.items()):
            while windows:
                some = tuple(windows[: limit.windows(windows[0].tiles)])
                del windows[: len(some)]  # the limit may fall while the batch is worked on
                yield Batch(some, stretch)

    @torch.inference_mode()
    def _run(self, image: Tensor, batch: Batch, limit: Limit) -> Tensor:
        first = batch.windows[0]
        tiles = torch.stack([cut(image, w.top, w.left, w.height, w.width) for w in batch.windows])
        branch = self.networks.branches[first.branch]
        # Plane by plane, as images are: blending what lies channels last takes three times as long.
        return run_in_parts(branch, self._prepared(tiles), limit, first.tiles).contiguous()

    def _prepared(self, tiles: Tensor) -> Tensor:
        """Tiles where the networks are, channels last."""
        return tiles.to(self.device or tiles.device).contiguous(memory_format=torch.channels_last)


def _begun(zeros: Tensor, unfinished: Tensor | None) -> Tensor:
    """A band whose first rows are as the band above left them."""
    if unfinished is not None:
        zeros[:, : unfinished.shape[1]] = unfinished
    return zeros
