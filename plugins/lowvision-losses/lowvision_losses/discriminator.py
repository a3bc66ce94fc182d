"""The U-Net discriminator of Real-ESRGAN (Wang et al. 2021): one logit per pixel, spectral normalisation."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from lowvision import Critic

SLOPE = 0.2


class UNet(nn.Module):
    """Images (B,C,H,W) to logits (B,1,H,W), positive for ground truth; H and W of any size from 8."""

    def __init__(self, colours: int, channels: int):
        super().__init__()
        steps = list(pairwise([channels, 2 * channels, 4 * channels, 8 * channels]))
        self.first = nn.Conv2d(colours, channels, 3, padding=1)
        self.down = nn.ModuleList(_halving(a, b) for a, b in steps)
        self.up = nn.ModuleList(_plain(b, a) for a, b in reversed(steps))
        self.last = nn.ModuleList([_plain(channels, channels), _plain(channels, channels)])
        self.logits = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        features = _bent(self.first(images))
        skips = []
        for layer in self.down:
            skips.append(features)
            features = _bent(layer(features))
        for layer, skip in zip(self.up, reversed(skips), strict=True):
            enlarged = functional.interpolate(features, size=skip.shape[2:], mode="bilinear", align_corners=False)
            features = _bent(layer(enlarged)) + skip
        for layer in self.last:
            features = _bent(layer(features))
        logits: Tensor = self.logits(features)
        return logits


class Discriminating(nn.Module, Critic):
    """The loss of the network under a discriminator, and the discriminator's own."""

    def __init__(self, network: nn.Module, kind: str):
        super().__init__()
        self.network, self.kind = network, kind

    def forward(self, restored: Tensor, gt: Tensor) -> Tensor:
        logits = self.network(restored)
        return -logits.mean() if self.kind == "hinge" else self._distance(logits, 1.0)

    def objective(self, restored: Tensor, gt: Tensor) -> Tensor:
        return (self._distance(self.network(gt), 1.0) + self._distance(self.network(restored), 0.0)) / 2

    def _distance(self, logits: Tensor, label: float) -> Tensor:
        """Return the loss of logits whose images are ground truth, label 1, or restored, label 0."""
        if self.kind == "hinge":
            return functional.relu(1 - logits if label else 1 + logits).mean()
        target = torch.full_like(logits, label)
        if self.kind == "lsgan":
            return functional.mse_loss(logits, target)
        return functional.binary_cross_entropy_with_logits(logits, target)


def _halving(inside: int, outside: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(inside, outside, 4, stride=2, padding=1, bias=False))


def _plain(inside: int, outside: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(inside, outside, 3, padding=1, bias=False))


def _bent(features: Tensor) -> Tensor:
    return functional.leaky_relu(features, SLOPE)
