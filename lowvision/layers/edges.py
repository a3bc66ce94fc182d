"""How much edge a tile has, and a table from that to what is reached on such tiles (ARM, Chen et al., ECCV 2022)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

LAPLACIAN = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))


def gaussian(sigma: float) -> Tensor:
    """(2r+1,) the taps of a Gaussian blur, r twice sigma, rounded up; one tap for none."""
    radius = math.ceil(2 * sigma)
    weights = torch.exp(-torch.arange(-radius, radius + 1).square() / (2 * sigma**2)) if radius else torch.ones(1)
    return weights / weights.sum()


def blurred(grey: Tensor, taps: Tensor) -> Tensor:
    """(B,1,h,w) -> (B,1,h,w): by a blur of these taps; beyond the border the edge pixel is repeated."""
    if len(taps) == 1:
        return grey
    wide = functional.pad(grey, (len(taps) // 2,) * 4, mode="replicate")
    return functional.conv2d(functional.conv2d(wide, taps[None, None, None]), taps[None, None, :, None])


class EdgeTable(nn.Module):
    """(B,C,h,w) -> (B,ways): what each of several ways to restore is held to reach, cheapest first: a PSNR in dB, or
    whatever else it was fitted to that is larger where the result is better."""

    kernel: Tensor
    """(1,1,3,3)."""
    taps: Tensor
    """(2r+1,) of the blur."""
    limits: Tensor
    """(bins-1,) between bins, rising."""
    table: Tensor
    """(bins,ways) rising with the way; before it is fitted, every way is held to be better than the last."""

    def __init__(self, *, ways: int, bins: int, blur: float = 0.0):
        super().__init__()
        self.register_buffer("taps", gaussian(blur), persistent=False)
        self.register_buffer("kernel", torch.tensor(LAPLACIAN)[None, None], persistent=False)
        self.register_buffer("limits", torch.arange(1, bins) / bins)
        self.register_buffer("table", torch.arange(ways, dtype=torch.float32).repeat(bins, 1))

    def forward(self, lq: Tensor) -> Tensor:
        return self.of(self.edges(lq))

    def of(self, edges: Tensor) -> Tensor:
        """What the table says of tiles with so much edge, (B,) -> (B,ways)."""
        return self.table[self.bin_of(edges)]

    def bin_of(self, edges: Tensor) -> Tensor:
        """The number of the bin of each, (B,) -> (B,)."""
        return (edges[:, None] > self.limits).sum(dim=1)

    def edges(self, lq: Tensor) -> Tensor:
        """(B,C,h,w) -> (B,): the mean of |Laplacian| of the mean of the colours, blurred where it has a blur.

        The outermost pixels have none.
        """
        grey = blurred(lq.mean(dim=1, keepdim=True), self.taps)
        return functional.conv2d(grey, self.kernel).abs().mean(dim=(1, 2, 3))

    @torch.no_grad()
    def fit(self, tiles: Tensor, reached: Tensor) -> None:
        """Make the table from tiles (N,C,h,w) and what each way reaches on them, (N,ways), larger where better."""
        bins, edges = len(self.table), self.edges(tiles)
        shares = torch.arange(1, bins, dtype=torch.float64) / bins
        self.limits.copy_(edges.cpu().double().quantile(shares))  # on the CPU: MPS has no float64
        of, worth = self.bin_of(edges).cpu(), reached.cpu().double()
        means = {n: worth[of == n].mean(dim=0) for n in of.unique().tolist()}
        for n in range(bins):
            # Of many tiles that are alike some bins get none; they say what the nearest one does.
            nearest = min(means, key=lambda there: abs(there - n))
            # More capacity is never held to do worse: chance alone would say so.
            self.table[n] = means[nearest].cummax(dim=0).values
