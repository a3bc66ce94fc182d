"""A table from how much edge a tile has to the PSNR that each branch reaches on such tiles (Chen et al., ECCV 2022)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

LAPLACIAN = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))


class Network(nn.Module):
    """(B,C,h,w) -> (B,classes): the PSNR in dB that each branch is held to reach."""

    kernel: Tensor
    """(1,1,3,3)."""
    limits: Tensor
    """(bins-1,) between bins, rising."""
    table: Tensor
    """(bins,classes) in dB, rising with the class."""

    def __init__(self, *, classes: int, bins: int):
        super().__init__()
        self.register_buffer("kernel", torch.tensor(LAPLACIAN)[None, None], persistent=False)
        self.register_buffer("limits", torch.arange(1, bins) / bins)
        self.register_buffer("table", torch.arange(classes, dtype=torch.float32).repeat(bins, 1))

    def forward(self, lq: Tensor) -> Tensor:
        return self.table[self.bin_of(lq)]

    def bin_of(self, lq: Tensor) -> Tensor:
        """(B,C,h,w) -> the number of its bin (B,)."""
        return (self.edges(lq)[:, None] > self.limits).sum(dim=1)

    def edges(self, lq: Tensor) -> Tensor:
        """(B,C,h,w) -> (B,): the mean of |Laplacian| of the mean of the colours; the outermost pixels have none."""
        return functional.conv2d(lq.mean(dim=1, keepdim=True), self.kernel).abs().mean(dim=(1, 2, 3))


@torch.no_grad()
def fit(network: nn.Module, tiles: Tensor, psnr: Tensor) -> None:
    """Make the table from tiles (N,C,h,w) and what each branch reaches on them, psnr (N,classes) in dB."""
    made = cast(Network, network)
    bins = len(made.table)
    shares = torch.arange(1, bins, dtype=torch.float64, device=tiles.device) / bins
    made.limits.copy_(made.edges(tiles).double().quantile(shares))
    of = made.bin_of(tiles)
    means = {n: psnr[of == n].double().mean(dim=0) for n in of.unique().tolist()}
    for n in range(bins):
        # Of many tiles that are alike some bins get none; they say what the nearest one does.
        nearest = min(means, key=lambda there: abs(there - n))
        # More capacity is never held to do worse: chance alone would say so.
        made.table[n] = means[nearest].cummax(dim=0).values
