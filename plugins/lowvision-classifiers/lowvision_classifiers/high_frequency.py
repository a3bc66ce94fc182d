"""How much fine detail a tile has: its mean distance from its own blur, against a threshold for each class."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowvision.layers import blurred, gaussian

FAINTEST = 1e-4
"""Added before logarithms: a fortieth of a grey level of 8 bits, so that flat tiles have one."""
ROUNDS = 50
"""Of k-means; in one dimension, from quantiles, it is done long before."""


class Network(nn.Module):
    """(B,C,h,w) -> logits (B,classes): how far the tile is, in logarithms, above each of the thresholds below a class.

    The class that is found most probable is the number of thresholds that the tile exceeds.
    """

    thresholds: Tensor
    """(classes-1,) rising."""
    kernel: Tensor
    """(2r+1,) of the blur."""

    def __init__(self, *, classes: int, sigma: float, thresholds: tuple[float, ...] | None):
        super().__init__()
        found = tuple(k / classes for k in range(1, classes)) if thresholds is None else thresholds
        if len(found) != classes - 1:
            raise ValueError(f"high_frequency has {len(found)} thresholds; {classes} branches need {classes - 1}")
        self.register_buffer("kernel", gaussian(sigma), persistent=False)
        self.register_buffer("thresholds", torch.tensor(found))

    def forward(self, lq: Tensor) -> Tensor:
        above = (self.detail(lq)[:, None] + FAINTEST).log() - (self.thresholds + FAINTEST).log()  # (B, classes-1)
        return functional.pad(above, (1, 0)).cumsum(dim=1)  # (B, classes)

    def detail(self, lq: Tensor) -> Tensor:
        """(B,C,h,w) -> (B,): the mean of |x - blurred x|, x the mean of the colours."""
        grey = lq.mean(dim=1, keepdim=True)
        return (grey - blurred(grey, self.kernel)).abs().mean(dim=(1, 2, 3))


@torch.no_grad()
def fit(network: nn.Module, tiles: Tensor, split: str) -> None:
    """Set the thresholds from tiles (N,C,h,w), by `quantiles` or `means`."""
    made = cast(Network, network)
    if not len(made.thresholds):
        return
    details = (made.detail(tiles).double() + FAINTEST).log().sort().values  # (N,)
    shares = torch.arange(1, len(made.thresholds) + 1, dtype=torch.float64, device=details.device)
    found = details.quantile(shares / (len(made.thresholds) + 1))
    if split == "means":
        found = _between_means(details, found)
    made.thresholds.copy_(found.exp() - FAINTEST)


def _between_means(values: Tensor, between: Tensor) -> Tensor:
    """The middles (M-1,) between the means of M clusters of values (N,), by k-means from a first guess."""
    for _ in range(ROUNDS):
        of = (values[:, None] > between).sum(dim=1)  # (N,) the cluster of each
        clusters = [values[of == k] for k in range(len(between) + 1)]
        if any(not len(cluster) for cluster in clusters):
            return between  # as where many tiles are alike: fewer clusters than classes
        means = torch.stack([cluster.mean() for cluster in clusters])
        between = (means[1:] + means[:-1]) / 2
    return between
