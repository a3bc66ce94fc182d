"""The network of ARM: bicubic, or a width of one network, for each tile by its edges."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lowvision import Adaptive, Skip, cost_weight_within, multiply_adds, psnr, upsample
from lowvision.layers import EdgeTable
from lowvision_arm.slices import Slice, Sliced

HAIR = 0.1
"""dB that the whole network is held to gain over bicubic, besides the table's, where the mean |Laplacian| is 1.

Images have 0.3 at most. Tiles of one bin, and bins in which more capacity gained nothing, are thereby told apart by
their edges: the cost falls tile by tile, not bin by bin.
"""
AT_A_TIME = 16


class Network(nn.Module, Adaptive):
    """(B,colours,h,w) -> (B,colours,h*scale,w*scale), by the whole network; `adapt` takes what a tile needs."""

    eta: Tensor
    """(), what the whole network's cost is worth in dB; 0 as trained."""

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
        """lq (B,C,h,w) enlarged by bicubic, which is number 0, or by a width, from the narrowest on."""
        return self.sliced(lq, self.widths[number - 1]) if number else upsample(lq, self.scale, "bicubic")

    def prices(self, tile: Sequence[int]) -> Tensor:
        """Multiply-adds of every way on one tile of that shape (C,h,w); bicubic is an interpolation, which has none."""
        shape = tuple(tile)
        if shape not in self._counted:
            counted = [multiply_adds(Slice(self.sliced, width), (1, *shape)) for width in self.widths]
            self._counted[shape] = torch.tensor([0, *counted])
        return self._counted[shape]

    @torch.no_grad()
    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        prices = self.prices(tiles.shape[1:])
        choice = (self._scores(tiles, prices) - self.eta.cpu() * cost_weight(prices)).argmax(dim=1)
        numbers = choice.unique().tolist()
        if len(numbers) == 1:  # nothing to gather
            return self.way(numbers[0], tiles), prices[choice]
        height, width = (self.scale * side for side in tiles.shape[2:])
        restored = tiles.new_empty(*tiles.shape[:2], height, width)
        for number in numbers:
            chosen = (choice == number).nonzero().flatten().to(tiles.device)
            restored[chosen] = self.way(number, tiles[chosen])
        return restored, prices[choice]

    @torch.no_grad()
    def set_budget(self, share: float, lq: Tensor, gt: Tensor) -> None:
        prices = self.prices(lq.shape[1:])
        pairs = zip(lq.split(AT_A_TIME), gt.split(AT_A_TIME), strict=True)
        self.expected.fit(lq, torch.cat([self._reached(some, wanted) for some, wanted in pairs]))
        scores = self._scores(lq, prices).numpy()
        budget = share * int(prices[-1]) * len(lq)
        self.eta.fill_(cost_weight_within(budget, scores, cost_weight(prices).numpy(), prices.numpy()))

    def _reached(self, lq: Tensor, gt: Tensor) -> Tensor:
        """(B,1+widths): the PSNR of every way."""
        return torch.stack([psnr(self.way(n, lq), gt) for n in range(1 + len(self.widths))], dim=1)

    def _scores(self, tiles: Tensor, prices: Tensor) -> Tensor:
        """(B,1+widths) in dB, float64, on the CPU."""
        edges = self.expected.edges(tiles)
        expected = self.expected.of(edges).cpu().double()
        return expected + HAIR * edges.cpu().double()[:, None] * cost_weight(prices)


def cost_weight(prices: Tensor) -> Tensor:
    """(M,) multiply-adds as shares of the dearest, in float64."""
    return prices.double() / prices[-1]
