"""The network of ARM: bicubic or one width of a network, selected per tile by edge strength."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lowvision import Adaptive, Skip, cost_weight_within, multiply_adds, psnr, upsample
from lowvision.layers import EdgeTable
from lowvision_arm.slices import Slice, Sliced

TIE_BREAK_DB = 0.1
"""Expected gain of the full network over bicubic, in addition to the table's, at mean |Laplacian| 1.

Images have 0.3 at most. This separates tiles of one bin, and bins without a gain, by edge strength: the cost changes
tile by tile, not bin by bin.
"""
BATCH_SIZE = 16
"""Tiles per batch while a budget is set."""


class Network(nn.Module, Adaptive):
    """The full network, (B,colours,h,w) -> (B,colours,h*scale,w*scale); `adapt` selects a width per tile."""

    eta: Tensor
    """A scalar: dB that the full network's cost is worth; 0 after training."""

    def __init__(
        self, *, colours: int, scale: int, widths: Sequence[int], shrink: int, layers: int, bins: int, skip: Skip
    ):
        super().__init__()
        self.scale, self.widths = scale, tuple(widths)
        self.sliced = Sliced(colours=colours, scale=scale, channels=widths[-1], shrink=shrink, layers=layers, skip=skip)
        self.expected = EdgeTable(ways=1 + len(widths), bins=bins)
        self.register_buffer("eta", torch.zeros(()))
        self._counted: dict[tuple[int, ...], Tensor] = {}

    def forward(self, lq: Tensor) -> Tensor:
        return self.sliced(lq)

    def way(self, number: int, lq: Tensor) -> Tensor:
        """Enlarge lq (B,C,h,w) by bicubic if `number` is 0, otherwise by a width, 1 for the narrowest."""
        return self.sliced(lq, self.widths[number - 1]) if number else upsample(lq, self.scale, "bicubic")

    def costs(self, tile: Sequence[int]) -> Tensor:
        """Return the multiply-adds of every way on one tile (C,h,w); bicubic interpolation counts 0."""
        shape = tuple(tile)
        if shape not in self._counted:
            counted = [multiply_adds(Slice(self.sliced, width), (1, *shape)) for width in self.widths]
            self._counted[shape] = torch.tensor([0, *counted])
        return self._counted[shape]

    @torch.no_grad()
    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        costs = self.costs(tiles.shape[1:])
        choice = (self._scores(tiles, costs) - self.eta.cpu() * cost_weight(costs)).argmax(dim=1)
        numbers = choice.unique().tolist()
        if len(numbers) == 1:  # no gathering needed
            return self.way(numbers[0], tiles), costs[choice]
        height, width = (self.scale * side for side in tiles.shape[2:])
        restored = tiles.new_empty(*tiles.shape[:2], height, width)
        for number in numbers:
            rows = (choice == number).nonzero().flatten().to(tiles.device)
            restored[rows] = self.way(number, tiles[rows])
        return restored, costs[choice]

    @torch.no_grad()
    def set_budget(self, share: float, lq: Tensor, gt: Tensor) -> None:
        costs = self.costs(lq.shape[1:])
        pairs = zip(lq.split(BATCH_SIZE), gt.split(BATCH_SIZE), strict=True)
        self.expected.fit(lq, torch.cat([self._psnr(lq_batch, gt_batch) for lq_batch, gt_batch in pairs]))
        scores = self._scores(lq, costs).numpy()
        budget = share * int(costs[-1]) * len(lq)
        self.eta.fill_(cost_weight_within(budget, scores, cost_weight(costs).numpy(), costs.numpy()))

    def _psnr(self, lq: Tensor, gt: Tensor) -> Tensor:
        """Return (B,1+widths) the PSNR of every way."""
        return torch.stack([psnr(self.way(n, lq), gt) for n in range(1 + len(self.widths))], dim=1)

    def _scores(self, tiles: Tensor, costs: Tensor) -> Tensor:
        """Return (B,1+widths) in dB, float64, on the CPU."""
        edges = self.expected.edges(tiles)
        expected = self.expected.of(edges).cpu().double()
        return expected + TIE_BREAK_DB * edges.cpu().double()[:, None] * cost_weight(costs)


def cost_weight(costs: Tensor) -> Tensor:
    """Return (M,) multiply-adds as fractions of the most expensive, in float64."""
    return costs.double() / costs[-1]
