"""The edge score of a tile, and a table from edge score to expected quality (ARM, Chen et al., ECCV 2022)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

LAPLACIAN = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))


def gaussian(sigma: float) -> Tensor:
    """Return the taps (2r+1,) of a Gaussian blur, r = ceil(2 * sigma); a single tap for sigma 0."""
    radius = math.ceil(2 * sigma)
    weights = torch.exp(-torch.arange(-radius, radius + 1).square() / (2 * sigma**2)) if radius else torch.ones(1)
    return weights / weights.sum()


def blurred(grey: Tensor, taps: Tensor) -> Tensor:
    """Blur (B,1,h,w) -> (B,1,h,w) with the given taps; past the border the edge pixel is repeated."""
    if len(taps) == 1:
        return grey
    padded = functional.pad(grey, (len(taps) // 2,) * 4, mode="replicate")
    return functional.conv2d(functional.conv2d(padded, taps[None, None, None]), taps[None, None, :, None])


class EdgeTable(nn.Module):
    """Predict the quality of several ways to restore a tile, cheapest first: (B,C,h,w) -> (B,ways).

    The quality is PSNR in dB, or any other score that it was fitted to; larger is better.
    """

    kernel: Tensor
    """(1,1,3,3)."""
    taps: Tensor
    """(2r+1,) taps of the blur."""
    limits: Tensor
    """(bins-1,) limits between bins, ascending."""
    table: Tensor
    """(bins,ways) ascending along the ways; before fitting, every way is predicted to be better than the one before."""

    def __init__(self, *, ways: int, bins: int, blur: float = 0.0):
        super().__init__()
        self.register_buffer("taps", gaussian(blur), persistent=False)
        self.register_buffer("kernel", torch.tensor(LAPLACIAN)[None, None], persistent=False)
        self.register_buffer("limits", torch.arange(1, bins) / bins)
        self.register_buffer("table", torch.arange(ways, dtype=torch.float32).repeat(bins, 1))

    def forward(self, lq: Tensor) -> Tensor:
        return self.of(self.edges(lq))

    def of(self, edges: Tensor) -> Tensor:
        """Look up the predicted quality of edge scores, (B,) -> (B,ways)."""
        return self.table[self.bin_of(edges)]

    def bin_of(self, edges: Tensor) -> Tensor:
        """Return the bin of each edge score, (B,) -> (B,)."""
        return (edges[:, None] > self.limits).sum(dim=1)

    def edges(self, lq: Tensor) -> Tensor:
        """Return the edge scores, (B,C,h,w) -> (B,): the mean |Laplacian| of the grey, optionally blurred, image.

        The outermost pixels are excluded.
        """
        grey = blurred(lq.mean(dim=1, keepdim=True), self.taps)
        return functional.conv2d(grey, self.kernel).abs().mean(dim=(1, 2, 3))

    @torch.no_grad()
    def fit(self, tiles: Tensor, reached: Tensor) -> None:
        """Fit the table to tiles (N,C,h,w) and the quality of each way on them, (N,ways), larger is better."""
        bins, edges = len(self.table), self.edges(tiles)
        shares = torch.arange(1, bins, dtype=torch.float64) / bins
        self.limits.copy_(edges.cpu().double().quantile(shares))  # on the CPU: MPS has no float64
        tile_bins, quality = self.bin_of(edges).cpu(), reached.cpu().double()
        means = {n: quality[tile_bins == n].mean(dim=0) for n in tile_bins.unique().tolist()}
        for n in range(bins):
            # If many tiles are alike, some bins are empty; they take the values of the nearest bin.
            nearest = min(means, key=lambda other: abs(other - n))
            # A larger branch is never predicted to be worse: that would be noise.
            self.table[n] = means[nearest].cummax(dim=0).values
