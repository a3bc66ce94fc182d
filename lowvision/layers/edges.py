"""How much edge a tile has, and a table from that to what is reached on such tiles (ARM, Chen et al., ECCV 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

LAPLACIAN = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))


class EdgeTable(nn.Module):
    """(B,C,h,w) -> (B,ways): the PSNR in dB that each of several ways to restore is held to reach, cheapest first."""

    kernel: Tensor
    """(1,1,3,3)."""
    limits: Tensor
    """(bins-1,) between bins, rising."""
    table: Tensor
    """(bins,ways) in dB, rising with the way; before it is fitted, every way is held to be better than the last."""

    def __init__(self, *, ways: int, bins: int):
        super().__init__()
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
        """(B,C,h,w) -> (B,): the mean of |Laplacian| of the mean of the colours; the outermost pixels have none."""
        return functional.conv2d(lq.mean(dim=1, keepdim=True), self.kernel).abs().mean(dim=(1, 2, 3))

    @torch.no_grad()
    def fit(self, tiles: Tensor, psnr: Tensor) -> None:
        """Make the table from tiles (N,C,h,w) and what each way reaches on them, psnr (N,ways) in dB."""
        bins, edges = len(self.table), self.edges(tiles)
        shares = torch.arange(1, bins, dtype=torch.float64) / bins
        self.limits.copy_(edges.cpu().double().quantile(shares))  # on the CPU: MPS has no float64
        of, reached = self.bin_of(edges).cpu(), psnr.cpu().double()
        means = {n: reached[of == n].mean(dim=0) for n in of.unique().tolist()}
        for n in range(bins):
            # Of many tiles that are alike some bins get none; they say what the nearest one does.
            nearest = min(means, key=lambda there: abs(there - n))
            # More capacity is never held to do worse: chance alone would say so.
            self.table[n] = means[nearest].cummax(dim=0).values
