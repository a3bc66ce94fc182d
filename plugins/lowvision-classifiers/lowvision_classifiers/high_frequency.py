"""A classifier by fine detail: the mean distance of a tile from its blurred copy, with thresholds between classes."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowvision.layers import blurred, gaussian

EPSILON = 1e-4
"""Added before logarithms, so that flat tiles have one: a fortieth of an 8-bit grey level."""
MAX_ITERATIONS = 50
"""Iterations of k-means; in one dimension, starting from quantiles, it converges long before."""


class Network(nn.Module):
    """Logits (B,classes) of (B,C,h,w): the sum of log(detail / threshold) over the thresholds below a class.

    The most probable class is the number of thresholds that the tile exceeds.
    """

    thresholds: Tensor
    """(classes-1,) ascending."""
    kernel: Tensor
    """(2r+1,) Gaussian kernel of the blur."""

    def __init__(self, *, classes: int, sigma: float, thresholds: tuple[float, ...] | None):
        super().__init__()
        thresholds = tuple(k / classes for k in range(1, classes)) if thresholds is None else thresholds
        if len(thresholds) != classes - 1:
            raise ValueError(f"high_frequency has {len(thresholds)} thresholds; {classes} branches need {classes - 1}")
        self.register_buffer("kernel", gaussian(sigma), persistent=False)
        self.register_buffer("thresholds", torch.tensor(thresholds))

    def forward(self, lq: Tensor) -> Tensor:
        above = (self.detail(lq)[:, None] + EPSILON).log() - (self.thresholds + EPSILON).log()  # (B, classes-1)
        return functional.pad(above, (1, 0)).cumsum(dim=1)  # (B, classes)

    def detail(self, lq: Tensor) -> Tensor:
        """Return the mean of |x - blurred x| per tile, (B,); x is the mean of the colours of lq (B,C,h,w)."""
        grey = lq.mean(dim=1, keepdim=True)
        return (grey - blurred(grey, self.kernel)).abs().mean(dim=(1, 2, 3))


@torch.no_grad()
def fit(network: nn.Module, tiles: Tensor, split: str) -> None:
    """Set the thresholds from tiles (N,C,h,w), by `quantiles` or `means`."""
    classifier = cast(Network, network)
    if not len(classifier.thresholds):
        return
    details = (classifier.detail(tiles).double() + EPSILON).log().sort().values  # (N,)
    ranks = torch.arange(1, len(classifier.thresholds) + 1, dtype=torch.float64, device=details.device)
    thresholds = details.quantile(ranks / (len(classifier.thresholds) + 1))
    if split == "means":
        thresholds = _between_means(details, thresholds)
    classifier.thresholds.copy_(thresholds.exp() - EPSILON)


def _between_means(values: Tensor, bounds: Tensor) -> Tensor:
    """Return the midpoints (M-1,) between the means of M clusters of values (N,), by k-means from initial bounds."""
    for _ in range(MAX_ITERATIONS):
        cluster_of = (values[:, None] > bounds).sum(dim=1)  # (N,)
        clusters = [values[cluster_of == k] for k in range(len(bounds) + 1)]
        if any(not len(cluster) for cluster in clusters):
            return bounds  # fewer clusters than classes, e.g. if many tiles are alike
        means = torch.stack([cluster.mean() for cluster in clusters])
        bounds = (means[1:] + means[:-1]) / 2
    return bounds
